package kernel

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// mostSettings is how much of a module's parameters is kept, in bytes. Drivers have some
// hundred at most.
const mostSettings = 3000

// Settings returns what the parameters of a live module are, as
// /sys/module/NAME/parameters shows them: of those that root may both read and set,
// NAME=VALUE in the order of their names, with a NUL between two. What has one in
// its value, or does not fit into 3000 bytes, is left out.
func (s System) Settings(module string) string {
	dir := s.sys("module/" + module + "/parameters")
	entries, _ := os.ReadDir(dir) // without parameters there is no directory
	var settings []byte
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode()&0o600 != 0o600 {
			continue
		}
		value := strings.TrimSuffix(read(dir+"/"+e.Name()), "\n")
		if strings.Contains(value, "\x00") || len(settings)+len(e.Name())+len(value)+2 > mostSettings {
			continue
		}
		if len(settings) > 0 {
			settings = append(settings, 0)
		}
		settings = append(settings, e.Name()+"="+value...)
	}
	return string(settings)
}

// Set gives the parameters of a live module the values that [System.Settings] has
// returned, as far as they have others. The error says what was refused.
func (s System) Set(module, settings string) error {
	var refused []error
	for _, setting := range strings.Split(settings, "\x00") {
		name, value, ok := strings.Cut(setting, "=")
		file := s.sys("module/" + module + "/parameters/" + name)
		if !ok || strings.TrimSuffix(read(file), "\n") == value {
			continue
		}
		if err := s.write(file, value); err != nil {
			refused = append(refused, fmt.Errorf("%s is no longer %q as somebody had set it: %w", name, value, err))
		}
	}
	return errors.Join(refused...)
}
