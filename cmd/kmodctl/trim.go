package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kmodd/kmodd/cmd/kmodctl/devicelist"
	"github.com/kmodd/kmodd/cmd/kmodctl/trim"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/rules/policy"
)

// A trimming is the command trim with its flags.
type trimming struct {
	system
	further []string // modules
	copy    string   // "" for no tree

	warned []string // what has been said once
}

func newTrim(o *options) *cobra.Command {
	var t trimming
	cmd := &cobra.Command{
		Use:   "trim [LIST...]",
		Short: "Find the modules and firmware that an image needs for some boards",
		Long: `Shows which of the installed modules an image needs for the boards whose lists
"kmodctl record" has written, or without a LIST for this machine: what their devices
get, as modprobe.d and kmodd.toml have it, with all that is needed for it; what was
in the kernel when the list was made; what modules-load.d names; and the firmware
that these name, as far as it is installed. It says what the image saves. No daemon
is needed.

With --copy a tree is made of them in a directory, with tables: lib/modules and
lib/firmware. The directory must be empty or not be there; it is there when the tree
is whole.

A record can't know what comes later: a device that was not plugged in, a file
system, cipher or protocol that nobody had used by then. So record each board when it
has done all its work once, and name the rest with --add, by name or alias.`,
		Example: `  kmodctl trim router.devices
  kmodctl trim --root /srv/image --copy /srv/trimmed --add vfat --add fs-nfs4 *.devices
  ssh router kmodctl record | kmodctl trim --json -`,
		RunE: func(cmd *cobra.Command, lists []string) error {
			if cmd.Flags().Changed("copy") && t.copy == "" {
				return errors.New("trim: --copy needs a directory")
			}
			if err := t.run(cmd, lists, o.json); err != nil {
				return fmt.Errorf("trim: %w", err)
			}
			return nil
		},
	}
	t.flags(cmd)
	cmd.Flags().StringArrayVar(&t.further, "add", nil, "keep this `module` too, named or by alias; may be given again")
	cmd.Flags().StringVar(&t.copy, "copy", "", "make a tree of what is kept in this `directory`")
	return cmd
}

func (t *trimming) run(cmd *cobra.Command, lists []string, asJSON bool) error {
	if t.copy != "" {
		if err := trim.Free(t.copy); err != nil {
			return err
		}
	}
	tables, err := t.tables()
	if err != nil {
		return err
	}
	boards, err := t.boards(cmd, lists)
	if err != nil {
		return err
	}
	made, err := t.make(cmd, tables, boards)
	if err != nil {
		return err
	}
	if !asJSON {
		return printTrim(cmd.OutOrStdout(), t.copy, made)
	}
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(made)
}

func (t *trimming) make(cmd *cobra.Command, tables *match.Tables, boards []trim.Board) (*trim.Trim, error) {
	made, warnings, err := trim.Make(t.root, tables, boards, t.further)
	if err != nil {
		return nil, err
	}
	t.warn(cmd.ErrOrStderr(), warnings)
	if t.copy != "" {
		if warnings, err = made.Copy(filepath.Clean(t.copy)); err != nil {
			return nil, fmt.Errorf("%w; nothing was made in %s", err, t.copy)
		}
		t.warn(cmd.ErrOrStderr(), warnings)
	}
	return made, nil
}

// boards are those of the lists, or the one that is here.
func (t *trimming) boards(cmd *cobra.Command, lists []string) (boards []trim.Board, err error) {
	if len(lists) == 0 {
		list, err := recorded(cmd.ErrOrStderr())
		if err != nil {
			return nil, err
		}
		board, err := t.board(cmd.ErrOrStderr(), "this machine", list)
		return []trim.Board{board}, err
	}
	for _, name := range lists {
		list, err := readList(cmd, name)
		if err != nil {
			return nil, err
		}
		if name == "-" {
			name = "standard input"
		}
		board, err := t.board(cmd.ErrOrStderr(), name, list)
		if err != nil {
			return nil, err
		}
		boards = append(boards, board)
	}
	return boards, nil
}

// board is one with what decides for it. Of a system, all is said once.
func (t *trimming) board(warnings io.Writer, name string, list *devicelist.List) (b trim.Board, err error) {
	t.obey(list)
	set, err := t.read(policy.Load)
	if err != nil {
		return b, err
	}
	t.warn(warnings, set.Warnings())
	if len(list.Loaded) == 0 {
		t.warn(warnings, []string{name + " names no module that was in the kernel: if an older kmodctl wrote it, file systems and what else no device asks for are left out; record again, or name them with --add"})
	}
	return trim.Board{
		Name: name, Rules: set, Loaded: list.Loaded,
		Devices: listed(warnings, list, set.Variables()),
		Wanted:  wantedBelow(t.root, *t.cmdline, warnings),
	}, nil
}

func (t *trimming) warn(to io.Writer, warnings []string) {
	for _, w := range warnings {
		if !slices.Contains(t.warned, w) {
			t.warned = append(t.warned, w)
			fmt.Fprintln(to, "kmodctl: warning:", oneLine(w))
		}
	}
}
