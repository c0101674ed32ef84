package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kmodd/kmodd/cmd/kmodctl/keep"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/match/kofile/param"
	"github.com/kmodd/kmodd/match/kofile/unpack"
	"github.com/kmodd/kmodd/modalias"
	"github.com/kmodd/kmodd/rules/modprobed"
)

func newParam(o *options) *cobra.Command {
	var save bool
	cmd := &cobra.Command{
		Use:   "param MODULE|FILE [NAME[=VALUE]]",
		Short: "Show a module's parameters, set one, and keep it, without a daemon",
		Long: `Lists the parameters of a module: type, value, whether it can be set while the module
is in, what sets it at the next load, and what it is for. NAME shows one.

NAME=VALUE sets one of a module that is in (root). It is held to the type that the module's
file says before the kernel is asked. Many parameters can be given at the load only. With
--save a line in /etc/modprobe.d has it set at each load to come: there, if the parameter may
be set at once, too. An initramfs has its own copy of modprobe.d.

FILE, such as ./hello.ko, is that of a module which is not installed.`,
		Example: `  kmodctl param loop
  kmodctl param loop max_loop
  kmodctl param ./hello.ko goodbyes=2
  kmodctl param --save hello goodbyes=2`,
		Args: arguments(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := parameters(cmd.OutOrStdout(), args, save, o.json)
			if errors.Is(err, os.ErrPermission) {
				err = fmt.Errorf("%w; run it as root", err)
			}
			if err != nil {
				return fmt.Errorf("param: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&save, "save", false, "with NAME=VALUE: write it into modprobe.d, for the loads to come")
	return cmd
}

// A parameterState is what there is to say of a parameter, as JSON has it.
type parameterState struct {
	Name     string  `json:"name"`
	Type     string  `json:"type,omitempty"`
	Value    *string `json:"value,omitempty"` // nil if it is not shown
	Settable bool    `json:"settable"`        // by root, while the module is in
	// Next is what sets it at the next load, nil for nothing.
	Next *nextLoad `json:"next,omitempty"`
	Says string    `json:"says,omitempty"`
}

type nextLoad struct {
	Value string `json:"value"`
	File  string `json:"file"`
	Line  int    `json:"line,omitempty"`
}

// A takenBy is a module whose parameters are asked for.
type takenBy struct {
	name   string
	image  *unpack.Module // nil if its file is not known
	kernel kernel.System
	config *modprobed.Config
}

func parameters(w io.Writer, args []string, save, asJSON bool) error {
	m, err := openTaken(args[0])
	if err != nil {
		return err
	}
	if m.image != nil {
		defer m.image.Close()
	}
	name, value, assigned := "", "", false
	if len(args) == 2 {
		name, value, assigned = strings.Cut(args[1], "=")
		name = strings.ReplaceAll(name, "-", "_")
	}
	switch {
	case assigned:
		return m.assign(w, name, value, save)
	case save:
		return errors.New("--save needs NAME=VALUE")
	}
	all := m.states()
	if name != "" {
		all = only(all, name)
		if len(all) == 0 {
			return fmt.Errorf("%s has no parameter %s", m.name, name)
		}
	}
	return printParameters(w, all, asJSON)
}

// openTaken finds a module in the kernel, among the installed ones, or in a file.
func openTaken(arg string) (*takenBy, error) {
	if slices.Contains([]string{"", ".", ".."}, filepath.Base(arg)) || arg == "" {
		return nil, errNoName
	}
	m := &takenBy{name: modalias.ModuleName(arg), kernel: kernel.System{Sys: here.sys, Proc: here.proc}}
	file := ""
	if isModuleFile(arg) {
		m.name, file = modalias.ModuleName(filepath.Base(arg)), arg
	} else if tables, err := (&system{root: here.root}).tables(); err == nil {
		file = fileOf(tables, m.name)
		tables.Close()
	}
	if file != "" {
		image, err := unpack.OpenModule(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		m.image = image
	}
	if file == "" && m.kernel.State(m.name) == kernel.Absent {
		return nil, fmt.Errorf("no module %s is in the kernel, and none is installed; if it is a file, write ./%s", m.name, arg)
	}
	config, err := readModprobed()
	m.config = config
	return m, err
}

func fileOf(tables *match.Tables, module string) string {
	m, _ := tables.Module(module)
	return m.File
}

// readModprobed reads the operator's configuration as modprobe does.
func readModprobed() (*modprobed.Config, error) {
	line, err := here.commandLine()
	if err != nil {
		return nil, err
	}
	dir, _ := system{root: here.root}.moduleDir() // there only softdeps are read
	return modprobed.Load(here.root, dir, line), nil
}

// states lists the parameters: those that the file tells of, and those that only the kernel
// does.
func (m *takenBy) states() (all []parameterState) {
	seen := make(map[string]bool)
	add := func(name, kind, says string) {
		if name = strings.ReplaceAll(name, "-", "_"); !seen[name] {
			seen[name] = true
			all = append(all, m.state(parameterState{Name: name, Type: kind, Says: oneLine(says)}))
		}
	}
	if m.image != nil {
		for _, p := range m.image.Parameters() {
			add(p.Name, p.Type, p.Description)
		}
	}
	for _, name := range m.kernel.Parameters(m.name) {
		add(name, "", "")
	}
	return all
}

// state adds what kernel and configuration say.
func (m *takenBy) state(p parameterState) parameterState {
	if value, shown := m.kernel.Parameter(m.name, p.Name); shown {
		p.Value = &value
	}
	p.Settable = m.kernel.Settable(m.name, p.Name)
	if next := keep.Next(m.config, m.name, p.Name); next != nil {
		p.Next = &nextLoad{next.Value, next.By.File, next.By.Line}
	}
	return p
}

func only(all []parameterState, name string) []parameterState {
	for _, p := range all {
		if p.Name == name {
			return []parameterState{p}
		}
	}
	return nil
}

// forShell is a word as a shell takes it (sh(1)).
func forShell(word string) string {
	plain := func(r rune) bool {
		return '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' || strings.ContainsRune("_-=.,:/@+%", r)
	}
	if strings.TrimLeftFunc(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// assign sets a parameter of a module that is in, or keeps it, or both.
func (m *takenBy) assign(w io.Writer, name, value string, save bool) error {
	if err := m.fits(name, value); err != nil {
		return err
	}
	line, err := keep.Quoted(name, value)
	if err != nil {
		return err
	}
	in, settable := m.kernel.State(m.name) != kernel.Absent, m.kernel.Settable(m.name, name)
	if m.kernel.Builtin(m.name) {
		return m.assignBuiltin(w, name, value, line, settable && !save)
	}
	if in && settable {
		err = m.set(w, name, value)
	}
	cure := fmt.Sprintf("kmodctl param --save %s %s has it set at the next load", m.name, forShell(line))
	switch {
	case err != nil:
		return err
	case save:
		return m.save(w, name, value, in && !settable)
	case !in:
		return fmt.Errorf("%s is not in the kernel: %s", m.name, cure)
	case !settable:
		return fmt.Errorf("%s can be given at the load only: %s", name, cure)
	}
	_, err = fmt.Fprintf(w, "until it is loaded anew; %s\n", cure)
	return err
}

// assignBuiltin sets a parameter of code that is built in, which modprobe.d has no say in.
func (m *takenBy) assignBuiltin(w io.Writer, name, value, line string, set bool) error {
	cure := forShell(m.name+"."+line) + " on the kernel command line has it set at the next boot"
	if !set {
		return fmt.Errorf("%s is part of the kernel: %s", m.name, cure)
	}
	if err := m.set(w, name, value); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "until the next boot; %s\n", cure)
	return err
}

// fits holds a value to what the module's file says, if it is known.
func (m *takenBy) fits(name, value string) error {
	if m.image == nil {
		return nil
	}
	faults := param.Check(m.image.File, name+`="`+value+`"`)
	if len(faults) == 0 {
		return nil
	}
	fault := faults[0]
	if fault.Near != "" {
		return fmt.Errorf("%w; did you mean %s?", &fault, fault.Near)
	}
	return &fault
}

func (m *takenBy) set(w io.Writer, name, value string) error {
	before, _ := m.kernel.Parameter(m.name, name)
	if err := m.kernel.SetParameter(m.name, name, value); err != nil {
		return err
	}
	now, shown := m.kernel.Parameter(m.name, name)
	if !shown {
		now, before = value, "not shown"
	}
	_, err := fmt.Fprintf(w, "%s is %s now; it was %s\n", name, cmp.Or(now, `""`), cmp.Or(before, `""`))
	return err
}

func (m *takenBy) save(w io.Writer, name, value string, loadOnly bool) error {
	s := keep.System{Root: here.root, Read: readModprobed}
	setting, err := s.Save(m.name, name, value)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s: %s\n", setting.Place(), setting.By.Text)
	if loadOnly {
		fmt.Fprintf(w, "it counts when %s is loaded anew: %s can be given at the load only\n", m.name, name)
	}
	return nil
}

func printParameters(w io.Writer, all []parameterState, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return enc.Encode(all)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "it has no parameters")
		return err
	}
	rows := make([][]string, len(all))
	for i, p := range all {
		now, next, set := "not shown", "", "at the load"
		if p.Value != nil {
			now = cmp.Or(oneLine(*p.Value), `""`)
		}
		if p.Settable {
			set = "at any time"
		}
		if p.Next != nil {
			setting := keep.Setting{By: modprobed.Rule{File: p.Next.File, Line: p.Next.Line}}
			next = p.Next.Value + " by " + setting.Place()
		}
		rows[i] = []string{p.Name, p.Type, now, set, next, p.Says}
	}
	return table(w, "PARAMETER TYPE NOW SET NEXT-LOAD SAYS", rows)
}
