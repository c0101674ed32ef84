package dev

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/modalias"
)

// help puts in what a build needs, and what its softdeps want before it.
func (l *Loop) help(ctx context.Context, b *build) {
	var missing []string
	for _, module := range slices.Concat(b.softdeps, b.needs) {
		if l.absent(module) {
			missing = append(missing, module)
		}
	}
	if len(missing) == 0 {
		return
	}
	begin, before := time.Now(), l.loaded()
	for _, module := range missing {
		l.helpWith(ctx, module, nil)
	}
	come := slices.DeleteFunc(l.loaded(), func(module string) bool { // somebody else may have put in others
		return slices.Contains(before, module) || !slices.Contains(l.wanted, module)
	})
	if len(come) == 0 {
		return
	}
	l.helped = append(come, l.helped...)
	first := slices.Clone(come)
	slices.Reverse(first)
	l.row("needs", since(begin), "%s put in", strings.Join(first, ", "))
}

// absent says whether a module is neither in the kernel nor a part of it.
func (l *Loop) absent(module string) bool {
	if l.Tables != nil {
		if _, builtin := l.Tables.Builtin(module); builtin {
			return false
		}
	}
	return l.Kernel.State(module) == kernel.Absent
}

// helpWith puts in one module with what it needs: an installed one by modprobe, as all that
// modprobe.d says of it counts, and another one from the folder of the file. What can't be
// done is said; whether it matters the check tells.
func (l *Loop) helpWith(ctx context.Context, module string, above []string) {
	installed := false
	if l.Tables != nil {
		var m match.Module
		m, installed = l.Tables.Module(module)
		l.wanted = append(l.wanted, m.Needs...)
	}
	l.wanted = append(l.wanted, module)
	file := beside(l.File, module)
	switch {
	case installed:
		cmd := l.command(ctx, l.Modprobe[0], append(l.Modprobe[1:], module)...)
		if said, err := cmd.CombinedOutput(); err != nil {
			l.row("needs", "", "%s is not in: %s", module, strings.TrimSpace(string(said)+" ("+err.Error()+")"))
		}
	case file != "" && !slices.Contains(above, module):
		l.helpFrom(ctx, file, append(above, module))
	default:
		l.row("needs", "", "%s is neither installed nor beside the file", module)
	}
}

// helpFrom puts in a module from the folder of the file.
func (l *Loop) helpFrom(ctx context.Context, file string, above []string) {
	b, err := readBuild(file)
	if err != nil {
		l.row("needs", "", "%s: %v", file, err)
		return
	}
	for _, module := range b.needs {
		if l.absent(module) {
			l.helpWith(ctx, module, above)
		}
	}
	r := l.call(ctx, func(op uint64) { l.Calls.Load(op, kernel.Module{Name: b.module, File: file}) })
	if r.Err != nil {
		l.row("needs", took(r), "%v", r.Err)
	}
}

// beside is the file of a module in the same folder as another one, "" if there is none.
func beside(file, module string) string {
	files, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "*.ko"))
	for _, other := range files {
		if modalias.ModuleName(filepath.Base(other)) == module {
			return other
		}
	}
	return ""
}

// loaded lists the modules in the kernel, the last one first.
func (l *Loop) loaded() (names []string) {
	all, _ := l.Kernel.Loaded()
	for _, m := range all {
		names = append(names, m.Name)
	}
	return names
}

// end says what is left in the kernel, or takes it out.
func (l *Loop) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), parting)
	defer cancel()
	if l.TakeOut && l.module != "" && !l.absent(l.module) && l.unload(ctx, l.module) {
		for _, module := range l.helped {
			if l.holders(module) == "" {
				l.unload(ctx, module)
			}
		}
	}
	var left []string
	for _, module := range append([]string{l.module}, l.helped...) {
		if module != "" && !l.absent(module) {
			left = append(left, module)
		}
	}
	switch {
	case len(left) > 0:
		l.print("== end: %s left in the kernel; rmmod %s takes it out", strings.Join(left, " "), strings.Join(left, " "))
	case l.module != "":
		l.print("== end: %s is not in the kernel", l.module)
	default:
		l.print("== end: there was no build")
	}
	return nil
}
