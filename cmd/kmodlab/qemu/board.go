package qemu

import (
	"fmt"
	"strings"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
)

// A Board is a kind of machine that QEMU emulates.
type Board struct {
	Name     string // in scenarios
	About    string // what a person calls it
	Arch     debian.Architecture
	Program  string // QEMU's
	Package  string // Debian's name of the package that has it
	Tree     string // its device tree in the kernel's package, "" if QEMU describes the board
	Adds     string // source text that changes that; "" for none
	Console  string // how the kernel names the serial port that goes to a file
	Port     string // how it names the line to the agent
	Words    string // for its kernel's command line
	Realtime bool   // its kernel is made for real time (PREEMPT_RT)
	HasCard  bool   // it has a slot for an SD card
	ACPI     []byte // a table beside QEMU's own, nil for none
	Slots    int    // for PCI Express cards: rp1, rp2 and so on
	Restores bool   // QEMU can save and restore it

	machine   string // QEMU's name of the kind
	accel     string // added to the emulation's name
	memoryMiB int
	args      []string
	usb       string // the bus that USB devices are plugged into
}

// The boards. Most have two processors or more, since a loader that works in
// parallel shall have the chance to go wrong. All have memory for the module
// tree twice.
var (
	// PC is a PC of the q35 kind. A processor that says it is fast at copying byte by byte
	// (erms) has the kernel copy so, and QEMU emulates that byte by byte: without it the
	// archive is unpacked in three quarters of the time.
	PC = &Board{
		Name: "pc", About: "a PC", Arch: debian.AMD64, Program: "qemu-system-x86_64", Package: "qemu-system-x86",
		Console: "ttyS0", Port: "ttyS1", Restores: true,
		machine: "q35", memoryMiB: 2048, args: []string{"-cpu", "max,-erms", "-smp", "2", "-serial", "chardev:agent"},
		usb: "xhci.0", Slots: 8,
	}
	// RealtimePC is a PC whose kernel is made for real time.
	RealtimePC = PC.realtime()
	// Virt is QEMU's own board for ARM, described by a device tree that it
	// makes. The second serial port is a card, since the board has but one.
	Virt = &Board{
		Name: "virt", About: "QEMU's virt", Arch: debian.ARM64, Program: "qemu-system-aarch64", Package: "qemu-system-arm",
		Console: "ttyAMA0", Port: "ttyS0", Restores: true,
		machine: "virt", memoryMiB: 2048, args: []string{"-cpu", "cortex-a57", "-smp", "2", "-device", "pci-serial,chardev=agent,addr=0x1c"},
		usb: "xhci.0", Slots: 8,
	}
	// RPi3 is a Raspberry Pi 3 B. Its network chip, which is a hub too, is not
	// emulated, so it has one USB port, port=1 for what is plugged into it
	// without a hub of QEMU's. What is plugged in before dwc2 has started is
	// forgotten on a busy host, a disk behind a hub was seen to hang, and one without
	// a hub to have memory overwritten that is not its own.
	RPi3 = &Board{
		Name: "rpi3", About: "a Raspberry Pi 3", Arch: debian.ARM64, Program: "qemu-system-aarch64", Package: "qemu-system-arm",
		Tree: "broadcom/bcm2837-rpi-3-b.dtb", Console: "ttyAMA0", Port: "ttyS1", HasCard: true,
		// A tmpfs would take half of what the archive, which is still in
		// memory, leaves of a gigabyte. VCHIQ is not emulated, and when its driver's
		// probe fails in Linux 6.1, threads of it go on with memory that was freed: the
		// kernel was seen to crash in one of them.
		Words: "rootfstype=ramfs modprobe.blacklist=vchiq",
		// With a thread for each processor they wait for each other most of
		// the time, and QEMU 7.2 was seen to lose what one said to
		// another. With one thread for all it is ten times as fast.
		accel:   ",thread=single",
		machine: "raspi3b", memoryMiB: 1024, args: []string{"-smp", "4", "-serial", "chardev:agent"},
		usb: "usb-bus.0",
	}
	// SabreLite is a SABRE Lite with an i.MX6. Its network interface has a PHY
	// of its own. One processor is emulated: with more, QEMU 7.2 was seen to
	// have them wait for each other for ever. The engine for DMA is not
	// emulated, and what asks for it would wait for ever, too. It has what no
	// board has that is emulated: a remote processor, and pins that are controlled.
	SabreLite = &Board{
		Name: "sabrelite", About: "a SABRE Lite", Arch: debian.ARMHF, Program: "qemu-system-arm", Package: "qemu-system-arm",
		Tree: "imx6q-sabrelite.dtb", Adds: remoteProcessor, Console: "ttymxc0", Port: "ttymxc1", Words: "rootfstype=ramfs initcall_blacklist=sdma_driver_init",
		machine: "sabrelite", memoryMiB: 1024,
		args: []string{"-smp", "1", "-serial", "chardev:agent", "-nic", "user,restrict=on,model=imx.enet"},
		usb:  "usb-bus.1",
	}
	// OrangePiPC is an Orange Pi PC with an Allwinner H3. Its network interface has a
	// PHY of its own. Its second serial port is on no connector, and so left out of the
	// tree.
	OrangePiPC = &Board{
		Name: "orangepi-pc", About: "an Orange Pi PC", Arch: debian.ARMHF, Program: "qemu-system-arm", Package: "qemu-system-arm",
		Tree: "sun8i-h3-orangepi-pc.dtb", Adds: `&{/soc/serial@1c28400} { status = "okay"; };`, Console: "ttyS0", Port: "ttyS1", Words: "rootfstype=ramfs",
		machine: "orangepi-pc", memoryMiB: 1024, args: []string{"-serial", "chardev:agent", "-nic", "user,restrict=on"},
		usb: "usb-bus.0",
	}
)

// remoteProcessor is a processor of another kind of chip on the i.MX6, with a pin
// controller: their drivers only look at registers until somebody starts it, and at
// ones that are not emulated, which read as 0
// (Documentation/devicetree/bindings/remoteproc/st,stm32-rproc.yaml,
// pinctrl/pinctrl-single.yaml).
const remoteProcessor = `
/ {
	apart {
		compatible = "simple-bus";
		#address-cells = <1>;
		#size-cells = <1>;
		ranges;
		dma-ranges = <0 0 0x10000>;
		pins: pins {
			compatible = "pinctrl-single";
			reg = <0x0f000000 0x40>;
			pinctrl-single,register-width = <32>;
			pinctrl-single,function-mask = <0xff>;
			chosen: chosen { pinctrl-single,pins = <0 0>; };
		};
		m4 {
			compatible = "st,stm32mp1-m4";
			resets = <&{/soc/bus@2000000/reset-controller@20d8000} 3>;
			st,syscfg-tz = <&{/soc/bus@2000000/iomuxc-gpr@20e0000} 0x30 1>;
			st,syscfg-holdboot = <&{/soc/bus@2000000/iomuxc-gpr@20e0000} 0x30 2>;
			pinctrl-names = "default";
			pinctrl-0 = <&chosen>;
		};
	};
};
`

// Boards are all of them.
var Boards = []*Board{PC, RealtimePC, Virt, RPi3, SabreLite, OrangePiPC, Buses}

func (b *Board) realtime() *Board {
	rt := *b
	rt.Name, rt.About, rt.Realtime = b.Name+"-rt", b.About+" for real time", true
	return &rt
}

// FindBoard returns the board of that name; "" is the PC.
func FindBoard(name string) (*Board, error) {
	var names []string
	for _, b := range Boards {
		if b.Name == name || name == "" {
			return b, nil
		}
		names = append(names, b.Name)
	}
	return nil, fmt.Errorf("no board is called %s; there are %s", name, strings.Join(names, ", "))
}

// buses are what devices can be plugged into. All the slots for cards share one
// place on the root bus, as its functions: a busy machine needs the others.
func (b *Board) buses() []string {
	var all []string
	if b.Slots > 0 {
		all = append(all, "qemu-xhci,id=xhci,p2=8,p3=8,addr=0x1d")
	}
	for i := range b.Slots {
		all = append(all, fmt.Sprintf("pcie-root-port,id=rp%d,chassis=%d,addr=0x1e.%d,multifunction=on", i+1, i+1, i))
	}
	return all
}
