package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/kmodd/kmodd/cmd/kmodlab/lab"
)

// guestBoards are the guests in which questions are asked, too: how long a program
// takes to start depends much on what a page fault costs, and on this machine that may
// be far from what it is where there is only a processor and a kernel.
var guestBoards = []struct{ name, board string }{{"an amd64 guest", ""}, {"an arm64 guest", "virt"}}

// askInGuests asks the questions of the programs in guests, as whoever is logged in
// there would, of the modules of their own kernels.
func askInGuests(ctx context.Context, progress io.Writer, runs int) (rows []row, err error) {
	build, err := lab.Prepare(ctx, progress, lab.Programs...)
	if err != nil {
		return nil, err
	}
	for _, in := range guestBoards {
		fmt.Fprintf(progress, "  in %s\n", in.name)
		some, err := askIn(ctx, build, in.board, in.name, runs)
		if err != nil {
			return nil, fmt.Errorf("in %s: %w", in.name, err)
		}
		rows = append(rows, some...)
	}
	return rows, nil
}

func askIn(ctx context.Context, build *lab.Build, board, where string, runs int) (rows []row, err error) {
	m, err := build.Start(ctx, lab.Options{Board: board})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	g := guest{Machine: m}
	for _, q := range questions {
		r, err := g.ask(ctx, "  "+q.what()+", in "+where, runs, q)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// ask asks a question of the guest's own modules.
func (g guest) ask(ctx context.Context, what string, runs int, q question) (row, error) {
	programs := [2]string{kmods: q.name, kmodds: "/tmp/" + q.name}
	if _, err := g.shell(ctx, "ln -sf /usr/lib/kmodd/kmodd-tools "+programs[kmodds]); err != nil {
		return row{}, err
	}
	const times = 5 // in a row: emulated, a process takes 50 ms, and to ask for it as long
	return q.ask(what, runs, 1, func(whose int, name string) (p process, err error) {
		words := slices.Concat([]string{programs[whose]}, q.options, []string{name})
		if p.stdout, err = g.shell(ctx, strings.Join(words, " ")); err != nil {
			return p, err
		}
		all, err := g.cycles(ctx, "time", append([]string{strconv.Itoa(times)}, words...)...)
		for _, c := range all {
			p.took += c.Took / times
		}
		return p, err
	})
}
