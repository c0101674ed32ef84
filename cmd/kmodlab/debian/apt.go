package debian

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// An apt asks Debian's archive for one architecture. Without private lists it
// uses the system's own.
type apt struct {
	progress io.Writer
	arch     Architecture
	private  string // the folder of our own lists, "" for the system's
}

// options are the -o arguments that every call gets. Downloads are not handed
// to the user _apt, who can't write into the cache.
func (a apt) options() []string {
	opts := []string{
		"-o", "APT::Sandbox::User=root",
		"-o", "APT::Architecture=" + string(a.arch),
		"-o", "APT::Architectures=" + string(a.arch),
	}
	if a.private != "" {
		opts = append(opts,
			"-o", "Dir::State::Lists="+filepath.Join(a.private, "lists"),
			"-o", "Dir::Cache="+filepath.Join(a.private, "cache"))
	}
	return opts
}

// withPrivateLists fetches package lists into the cache and returns an apt that
// uses them. With an error, that is an apt with those that could be fetched.
func (a apt) withPrivateLists(ctx context.Context) (apt, error) {
	cache, err := CacheDir()
	if err != nil {
		return a, err
	}
	a.private = filepath.Join(cache, "apt", string(a.arch))
	for _, dir := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(a.private, dir), 0o755); err != nil {
			return a, err
		}
	}
	unlock, err := Lock(ctx, filepath.Join(a.private, "lock"), nil) // apt itself would give up at its own
	if err != nil {
		return a, err
	}
	defer unlock()
	fmt.Fprintf(a.progress, "fetching package lists of %s\n", a.arch)
	_, err = a.output(ctx, "", "apt-get", append(a.options(), "-q", "update")...)
	return a, err
}

// show returns the control data of the newest version of each package.
func (a apt) show(ctx context.Context, packages ...string) ([]stanza, error) {
	args := append(a.options(), "show", "--no-all-versions")
	out, err := a.output(ctx, "", "apt-cache", append(args, packages...)...)
	if err != nil {
		return nil, err
	}
	return parseStanzas(bytes.NewReader(out))
}

// download fetches packages into dir and returns the names of the files.
func (a apt) download(ctx context.Context, dir string, packages ...string) ([]string, error) {
	status, report, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer status.Close()
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		showStatus(a.progress, status)
	}()
	args := append(a.options(), "-o", "APT::Status-Fd=3", "-q", "download")
	cmd := command(ctx, dir, "apt-get", append(args, packages...)...)
	cmd.ExtraFiles = []*os.File{report}
	_, err = output(cmd)
	report.Close()
	<-shown
	if err != nil {
		return nil, err
	}
	return filepath.Glob(filepath.Join(dir, "*.deb"))
}

// showStatus turns apt's status lines ("dlstatus:1:37.5:Retrieving file 1 of
// 2") into a line for every fifth of the way.
func showStatus(w io.Writer, status io.Reader) {
	last := 0
	for lines := bufio.NewScanner(status); lines.Scan(); {
		if percent := parsePercent(lines.Text()); percent >= last+20 {
			last = percent - percent%20
			fmt.Fprintf(w, "  %d %%\n", last)
		}
	}
}

// parsePercent reads a dlstatus line; other lines give 0.
func parsePercent(line string) int {
	fields := strings.SplitN(line, ":", 4)
	if len(fields) < 3 || fields[0] != "dlstatus" {
		return 0
	}
	percent, err := strconv.ParseFloat(fields[2], 64)
	if err != nil {
		return 0
	}
	return int(percent)
}

// output runs a program in dir and returns what it printed.
func (a apt) output(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	return output(command(ctx, dir, name, args...))
}

func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	return cmd
}

// output runs cmd; its error carries the last lines that the program wrote to
// standard error.
func output(cmd *exec.Cmd) ([]byte, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("%w: the bench is made of Debian's packages; run it on Debian", err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, lastLines(stderr.String(), 3))
	}
	return out, nil
}

// lastLines joins the last n lines of a text into one.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "; ")
}
