package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kmodd/kmodd/rules/dropin"
	"github.com/kmodd/kmodd/rules/policy"
)

func newLint() *cobra.Command {
	var s system
	cmd := &cobra.Command{
		Use:   "lint [FILE...]",
		Short: "Name what is wrong with modprobe.d and kmodd.toml",
		Long: `Reads the module tables, modprobe.d and kmodd.toml of this system, or of the one
below --root, and names, one a line, with file and line:

  - what could not be read or understood and was left out
  - rules that can never match: no such module is installed, no device's
    MODALIAS looks like that
  - rules that can never count, since another one always comes before them

With FILEs these are read as the policy, in this order, instead of kmodd.toml.
The exit status is 1 if there is anything to name.`,
		Example: `  kmodctl lint
  kmodctl lint --root /mnt --kernel 6.1.0-49-arm64
  kmodctl lint new-rules.toml`,
		RunE: func(cmd *cobra.Command, files []string) error {
			found, err := lint(s, files)
			if err != nil {
				return fmt.Errorf("lint: %w", err)
			}
			for _, line := range found {
				fmt.Fprintln(cmd.OutOrStdout(), line)
			}
			if len(found) > 0 {
				return fmt.Errorf("lint: %d to mend", len(found))
			}
			return nil
		},
	}
	s.flags(cmd)
	return cmd
}

func lint(s system, files []string) (found []string, err error) {
	read := policy.Load
	if len(files) > 0 {
		p, err := readPolicies(files)
		if err != nil {
			return nil, err
		}
		read = func(string) *policy.Policy { return p }
	}
	set, err := s.read(read)
	if err != nil {
		return nil, err
	}
	found = set.Warnings()
	for _, w := range set.Lint() {
		found = append(found, w.String())
	}
	return found, nil
}

func readPolicies(files []string) (*policy.Policy, error) {
	var texts []policy.File
	for _, file := range files {
		text, err := dropin.Read(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, dropin.Bare(err))
		}
		texts = append(texts, policy.File{Name: file, Text: text})
	}
	return policy.Parse(texts...), nil
}
