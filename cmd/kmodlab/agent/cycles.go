package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kmodd/kmodd/cmd/kmodlab/agentwire"
	"github.com/kmodd/kmodd/daemon/kernel"
)

// sleepTime is how long a driver has to go to sleep.
const sleepTime = time.Minute

// restsIn is how often, in all sleeps if they are many, there is a rest of restTime before
// what there is is counted: kmodd's workers have ended then, and what comes and goes with
// them does not hide what stays.
const (
	restsIn  = 10
	restTime = 5 * time.Second
)

// wakeOften waits until a module has gone, opens the device, and so on, and writes an
// agentwire.Cycle for each time.
func wakeOften(out io.Writer, device, module, count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	lines := json.NewEncoder(out)
	for i := range n {
		if err := waitAsleep(device, module); err != nil {
			return err
		}
		c := present(i, n)
		if c.Took, err = open(device); err != nil {
			return err
		}
		if err := lines.Encode(c); err != nil {
			return err
		}
	}
	return nil
}

// present tells what there is before a driver comes back for the i-th time of n.
func present(i, n int) agentwire.Cycle {
	rested := n >= 10*restsIn && i%(n/restsIn) == 0
	if rested {
		time.Sleep(restTime)
	}
	c := agentwire.Cycle{Rested: rested, Nodes: entries("/dev"), Modules: entries("/sys/module"), Files: openFiles("kmodd")}
	c.Memory, _ = kernel.System{}.Memory()
	return c
}

// open opens a device, tells how long that took, and closes it.
func open(device string) (took time.Duration, err error) {
	began := time.Now()
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	took = time.Since(began)
	if err != nil {
		return 0, err
	}
	return took, f.Close()
}

// waitAsleep waits until a module has gone, and the node is the kernel's own again:
// and then a while, for one that is woken soon would have longer until it sleeps.
func waitAsleep(device, module string) error {
	aside := filepath.Join(filepath.Dir(device), "."+filepath.Base(device)+".kmodd")
	for end := time.Now().Add(sleepTime); ; time.Sleep(20 * time.Millisecond) {
		_, in := os.Stat("/sys/module/" + module)
		_, away := os.Stat(aside)
		switch {
		case errors.Is(in, os.ErrNotExist) && errors.Is(away, os.ErrNotExist):
			time.Sleep(500 * time.Millisecond)
			return nil
		case time.Now().After(end):
			return fmt.Errorf("%s did not go to sleep within %v", module, sleepTime)
		}
	}
}

// reload takes a module out, and what it alone needs, has modprobe put them in, opens
// the device, and writes an agentwire.Cycle for each time: what opening costs by itself
// (a serial adapter is asked this and that over USB) is in it, as it is in a wake's.
func reload(out io.Writer, device, module, count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	lines := json.NewEncoder(out)
	for i := range n {
		if err := takeOut(module); err != nil {
			return err
		}
		c := present(i, n)
		began := time.Now()
		if err := exec.Command("modprobe", module).Run(); err != nil {
			return fmt.Errorf("modprobe %s: %w", module, err)
		}
		loaded := time.Since(began)
		opened, err := open(device)
		if err != nil {
			return err
		}
		c.Took = loaded + opened
		if err := lines.Encode(c); err != nil {
			return err
		}
	}
	return nil
}

// timed runs a program often, and writes an agentwire.Cycle for each time.
func timed(out io.Writer, count string, program ...string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	lines := json.NewEncoder(out)
	for range n {
		began := time.Now()
		err := exec.Command(program[0], program[1:]...).Run()
		c := agentwire.Cycle{Took: time.Since(began)}
		if err != nil {
			return fmt.Errorf("%s: %w", program[0], err)
		}
		if err := lines.Encode(c); err != nil {
			return err
		}
	}
	return nil
}

// takeOut takes out a module and everything that it needs and nobody else uses. (What
// modprobe -r takes out beside a module is less than that.)
func takeOut(module string) error {
	text, err := exec.Command("modprobe", "--show-depends", module).Output()
	if err != nil {
		return fmt.Errorf("modprobe --show-depends %s: %w", module, err)
	}
	if err := (kernel.System{}).Unload(module); err != nil {
		return err
	}
	for _, line := range slices.Backward(strings.Split(strings.TrimSpace(string(text)), "\n")) {
		file := strings.Fields(line)[1] // after "insmod" or "builtin"
		name, _, _ := strings.Cut(filepath.Base(file), ".")
		_ = kernel.System{}.Unload(strings.ReplaceAll(name, "-", "_")) // which others may need
	}
	return nil
}

// keptMemory writes the lines of /proc/meminfo when the kernel has given up what it
// could do without: the caches of files, which hold on to more than is counted as
// theirs, and what caches of objects have room for and nothing is in. What churn has
// left there would hide what somebody has kept.
func keptMemory(out io.Writer) error {
	caches, _ := filepath.Glob("/sys/kernel/slab/*/shrink")
	for range 3 { // what held on to something is given up the first time, and that the next
		_ = os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0)
		for _, file := range caches {
			_ = os.WriteFile(file, []byte("1"), 0) // of one that goes meanwhile there is nothing to give up
		}
		time.Sleep(time.Second)
	}
	_, _ = os.ReadFile("/proc/sys/vm/stat_refresh") // has each processor add up what it counts for itself
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return err
	}
	if _, err = out.Write(text); err != nil {
		return err
	}
	held, err := heldObjects("/proc/slabinfo", "/sys/kernel/slab")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s: %d kB\n", agentwire.HeldObjects, held>>10)
	return err
}

// heldObjects is how many bytes the objects take that somebody holds, in caches whose
// objects the kernel can't give up by itself (proc_slabinfo(5),
// Documentation/ABI/testing/sysfs-kernel-slab: reclaim_account). SUnreclaim of
// /proc/meminfo counts the pages that they are in, of which as much depends on what lay
// beside them and went before as a small driver needs.
func heldObjects(info, caches string) (size int64, err error) {
	text, err := os.ReadFile(info)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 4 || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "slabinfo") {
			continue
		}
		if given, _ := os.ReadFile(filepath.Join(caches, f[0], "reclaim_account")); strings.TrimSpace(string(given)) == "1" {
			continue
		}
		held, err := strconv.ParseInt(f[1], 10, 64)
		each, err2 := strconv.ParseInt(f[3], 10, 64)
		if err := errors.Join(err, err2); err != nil {
			return 0, fmt.Errorf("%s: %q: %w", info, line, err)
		}
		size += held * each
	}
	return size, nil
}

// entries counts what is in a directory and in those below it; sysfs is not gone into.
func entries(dir string) (n int) {
	list, _ := os.ReadDir(dir)
	for _, e := range list {
		n++
		if e.IsDir() && dir != "/sys/module" {
			n += entries(filepath.Join(dir, e.Name()))
		}
	}
	return n
}

// openFiles counts the descriptors of the first process of a name.
func openFiles(name string) int {
	out, err := exec.Command("pidof", name).Output()
	if err != nil {
		return 0
	}
	pids := strings.Fields(string(out))
	list, _ := os.ReadDir("/proc/" + pids[len(pids)-1] + "/fd")
	return len(list)
}
