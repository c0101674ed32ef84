// Package multicall is what kmodctl and kmodd-tools are under other names: a program of
// kmod's, or a worker of the daemon's that has abilities.
package multicall

import (
	"io"
	"os"
	"path/filepath"

	"github.com/kmodd/kmodd/cmd/kmodctl/depmod"
	"github.com/kmodd/kmodd/cmd/kmodctl/insmod"
	"github.com/kmodd/kmodd/cmd/kmodctl/kmod"
	"github.com/kmodd/kmodd/cmd/kmodctl/lsmod"
	"github.com/kmodd/kmodd/cmd/kmodctl/modinfo"
	"github.com/kmodd/kmodd/cmd/kmodctl/modprobe"
	"github.com/kmodd/kmodd/cmd/kmodctl/rmmod"
	"github.com/kmodd/kmodd/cmd/kmodctl/screen"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/sleep"
	"github.com/kmodd/kmodd/daemon/usage"
	"github.com/kmodd/kmodd/daemon/worker"
	"github.com/kmodd/kmodd/match/kofile/unpack"
)

// A Tool is a program of kmod's. It gets its arguments, without its name, and
// returns its exit status.
type Tool func(args []string, version string, stdout, stderr io.Writer) int

// Tools are those that there are, by name.
var Tools = map[string]Tool{
	"depmod": depmod.Main, "insmod": insmod.Main, "kmod": kmod.Main, "lsmod": lsmod.Main,
	"modinfo": modinfo.Main, "modprobe": modprobe.Main, "rmmod": rmmod.Main,
}

// Run does what the name in a command line stands for, and returns the exit status. It
// does not know that of most programs.
func Run(argv []string, version string) (status int, known bool) {
	name := filepath.Base(argv[0])
	if name == worker.AbleName || name == worker.Name {
		return worker.Serve(kernel.System{}, worker.Abilities{
			Unpack: unpack.Unpack,
			InUse:  usage.System{}.Against,
			Survey: sleep.System{}.Survey,
			Tend:   sleep.System{}.Tend,
		}), true
	}
	tool := Tools[name]
	if tool == nil {
		return 0, false
	}
	return tool(argv[1:], version, screen.ForTool(os.Stdout), screen.New(os.Stderr)), true
}
