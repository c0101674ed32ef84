package rules

import "io"

// Dump writes all that decisions rest on but the policy, as modprobe -c does:
// the statements of modprobe.d and of the kernel command line, and the aliases
// of the modules. It returns the first error of w.
func (s *Set) Dump(w io.Writer) error {
	if err := s.config.Dump(w); err != nil {
		return err
	}
	if _, err := io.WriteString(w, "\n# End of configuration files. Dumping indexes now:\n\n"); err != nil {
		return err
	}
	return s.tables.DumpAliases(w)
}
