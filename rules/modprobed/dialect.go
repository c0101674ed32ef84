package modprobed

// A Dialect is a way to understand modprobe.d. Who has a [Config] has one that
// was read in one dialect, and decides in that one too.
type Dialect uint8

const (
	// Kmodd is the dialect of Load, LoadPaths and Parse.
	Kmodd Dialect = iota
	// Kmod is that of kmod's modprobe, with what its users complain of: every
	// deviation in docs/modprobe.md is undone.
	Kmod
)

// Load is the function Load in this dialect.
func (d Dialect) Load(root, moduleDir, cmdline string) *Config {
	return d.LoadPaths(Directories(root), moduleDir, cmdline)
}

// LoadPaths is Load from some directories, or files, in place of a system's:
// those of modprobe -C. The one that takes precedence is first.
func (d Dialect) LoadPaths(paths []string, moduleDir, cmdline string) *Config {
	c := &Config{Dialect: d}
	c.load(paths, moduleDir)
	c.readCommandLine(cmdline)
	return c
}

// Parse is the function Parse in this dialect.
func (d Dialect) Parse(cmdline string, files ...File) *Config {
	c := &Config{Dialect: d}
	for _, f := range files {
		c.readFile(f.Name, f.Text)
	}
	c.readCommandLine(cmdline)
	return c
}
