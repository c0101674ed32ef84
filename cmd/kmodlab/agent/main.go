// Agent is what runs inside the bench's guests: as their first process, as the
// one that does what the bench asks for, and as the independent witness of the
// kernel's events.
//
// # Processes
//
// One program, many roles. As process 1 it mounts what a program expects of a
// Linux system, starts the role serve, and from then on only collects ended
// processes: everything orphaned ends up with it, so it must wait for anybody,
// which would take exit codes away from whoever else waits in the same process.
// serve answers the bench on a serial port, in the language of package
// agentwire. witness listens to the kernel's uevents with pilebones/go-udev, a
// listener that shares no line with kmodd, and writes down what it hears. seen
// looks through those notes. send has the kernel broadcast events that somebody
// wrote down on another machine. camera is a USB camera, plugged in as long as
// it runs, and capture takes pictures from one. wake has a driver that sleeps wake
// again and again, and reload does the same with modprobe, and time runs any program, each for the sake of time;
// load puts in a list of modules, faster than anybody could who had to find them.
// bluetooth is a Bluetooth controller, hci0 brings it up or down, and bitrate sets the
// bit rate of a CAN interface.
//
// # The witness and its limits
//
// go-udev gives up reading when the kernel reports lost events (ENOBUFS), so
// serve starts the witness again whenever it ends, and the notes say so. Its
// parser refuses a DEVPATH with an @ and a value with an =; such events are
// noted as not understood.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
)

func main() {
	if err := play(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		os.Exit(1)
	}
}

// play takes the role that the arguments and the process number ask for.
func play(args []string) error {
	switch {
	case os.Getpid() == 1:
		return boot()
	case len(args) == 1 && args[0] == "serve":
		return servePort(context.Background())
	case len(args) == 1 && args[0] == "witness":
		return witness(os.Stdout)
	case len(args) == 3 && args[0] == "seen":
		return seen(os.Stdout, witnessLog, args[1], args[2])
	case len(args) == 2 && args[0] == "send":
		return broadcast(args[1])
	case len(args) >= 1 && args[0] == "camera":
		return playCamera(args[1:])
	case len(args) == 1 && args[0] == "bluetooth":
		return playController()
	case len(args) == 2 && args[0] == "hci0":
		return setController(args[1] == "up")
	case len(args) == 3 && args[0] == "bitrate":
		return setBitrate(args[1], args[2])
	case len(args) == 3 && args[0] == "capture":
		return takePictures(os.Stdout, args[1], args[2])
	case len(args) == 4 && args[0] == "wake":
		return wakeOften(os.Stdout, args[1], args[2], args[3])
	case len(args) == 1 && args[0] == "memory":
		return keptMemory(os.Stdout)
	case len(args) >= 2 && args[0] == "load":
		return loadList(args[1], strings.Join(args[2:], " "))
	case len(args) == 4 && args[0] == "reload":
		return reload(os.Stdout, args[1], args[2], args[3])
	case len(args) > 2 && args[0] == "time":
		return timed(os.Stdout, args[1], args[2:]...)
	}
	return fmt.Errorf("usage: agent serve | witness | seen ACTION PATTERN | send FILE | camera [PROPERTY=VALUE...] | bluetooth | hci0 up | hci0 down | bitrate INTERFACE BITS | capture DEVICE COUNT | wake DEVICE MODULE COUNT | reload DEVICE MODULE COUNT | time COUNT PROGRAM [ARGUMENT...] | load FILE [OPTION...] | memory")
}
