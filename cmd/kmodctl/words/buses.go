package words

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// A bus is what a device of it is, and how its fields are put into words.
type bus struct {
	is   string
	tell func(*subject)
}

// buses has what a device of each bus is, and how its fields are put into words
// beyond their names.
var buses = sync.OnceValue(func() map[string]bus {
	return map[string]bus{
		"hid":                {"a human interface device", tellHID},
		"firewire":           {"a unit on FireWire", tellFireWire},
		"pci":                {"a PCI device", tellPCI},
		"vfio_pci":           {"a PCI device that is handed to a virtual machine", tellPCI},
		"ccw":                {"a channel-attached device of a mainframe", nil},
		"ap":                 {"a cryptographic adapter of a mainframe", nil},
		"css":                {"a subchannel of a mainframe", nil},
		"serio":              {"a PS/2 or serial port for input", tellSerio},
		"acpi":               {"a device that ACPI describes", tellACPI},
		"pcmcia":             {"a PCMCIA card", func(s *subject) { s.called(s.look("function's id", pcmciaFunctions())) }},
		"vio":                {"a virtual device of POWER", func(s *subject) { s.called(s.value("compatible")) }},
		"input":              {"an input device", tellInput},
		"eisa":               {"an EISA card", func(s *subject) { s.called(s.value("signature")) }},
		"parisc":             {"a device of a PA-RISC machine", nil},
		"sdio":               {"an SDIO function", tellSDIO},
		"ssb":                {"a core on the Sonics Silicon Backplane", tellSSB},
		"bcma":               {"a core on Broadcom's AMBA backplane", tellBCMA},
		"virtio":             {"a virtio device", tellVirtio},
		"vmbus":              {"a device of Hyper-V", func(s *subject) { s.called(s.look("class", vmbusClasses())) }},
		"rpmsg":              {"a channel to a remote processor", nil},
		"i2c":                {"an I2C chip", nil},
		"i3c":                {"an I3C device", nil},
		"slimbus":            {"a SLIMbus device", nil},
		"spi":                {"an SPI chip", nil},
		"dmi":                {"the machine, as its firmware describes it", tellDMI},
		"platform":           {"a platform device", nil},
		"mdio_bus":           {"a network PHY", tellPHY},
		"zorro":              {"a Zorro card", nil},
		"pnp":                {"an ISA plug-and-play device", func(s *subject) { s.called(s.look("id", acpiIDs())) }},
		"ipack":              {"an IndustryPack module", nil},
		"amba":               {"an AMBA peripheral", tellAMBA},
		"mipscdmm":           {"a device in MIPS's common device memory map", nil},
		"cpu":                {"a processor", tellCPU},
		"mcb":                {"a device on the MEN chameleon bus", nil},
		"mei":                {"a client of Intel's management engine", nil},
		"rapidio":            {"a RapidIO device", nil},
		"ulpi":               {"a USB PHY with ULPI", tellULPI},
		"hdaudio":            {"a codec of HD audio", tellHDAudio},
		"soundwire":          {"a SoundWire device", nil},
		"fsl-mc":             {"an object of NXP's management complex", func(s *subject) { s.called(s.value("type")) }},
		"thunderbolt":        {"a service of a Thunderbolt host", func(s *subject) { s.called(s.value("protocol's key")) }},
		"typec":              {"an alternate mode of USB Type-C", tellTypeC},
		"tee":                {"a trusted application", nil},
		"wmi":                {"a WMI object of the firmware", nil},
		"mhi":                {"a channel to a modem", nil},
		"mhi_ep":             {"a channel of a modem to its host", nil},
		"auxiliary":          {"a part of another driver's device", tellAuxiliary},
		"surface_aggregator": {"a device of the Surface's controller", nil},
		"dfl":                {"a feature of an FPGA", nil},
		"ishtp":              {"a client of Intel's sensor hub", nil},
		"cdx":                {"a CDX device of an FPGA", tellCDX},
		"vfio_cdx":           {"a CDX device that is handed to a virtual machine", tellCDX},
		"vchiq":              {"a service of VideoCore", nil},
		"coreboot":           {"an entry of coreboot's table", nil},
		"of":                 {"a device in the device tree", tellTree},
		"usb":                {"a USB interface", tellUSB},
		"scsi":               {"a SCSI device", func(s *subject) { s.called(s.look("type", scsiTypes())) }},
		"mmc":                {"a card on an MMC bus", tellMMC},
		"nd":                 {"a part of persistent memory", func(s *subject) { s.called(s.look("type", ndTypes())) }},
		"dax":                {"a range of memory for direct access", nil},
		"cxl":                {"a CXL object", func(s *subject) { s.called(s.look("type", cxlTypes())) }},
		"xen":                {"a device of a Xen guest", nil},
		"xen-backend":        {"a device that a Xen guest is served with", nil},
		"mipi-dsi":           {"a display on MIPI DSI", nil},
		"arm_ffa":            {"a partition of Arm's secure firmware", nil},
		"aprbus":             {"a service of Qualcomm's audio processor", nil},
		"hsi":                {"a client of a high-speed serial interface", nil},
		"gio":                {"a GIO card", nil},
		"ps3_system_bus":     {"a device of the PlayStation 3", nil},
		"scm":                {"a unit of a mainframe's storage-class memory", nil},
	}
})

func tellPCI(s *subject) {
	vendor, device := s.low("vendor", 4), s.low("device", 4)
	names := s.names.PCIDevice(vendor, device)
	s.sayAll(names, "vendor", "device")
	boardVendor, board := s.low("subsystem's vendor", 4), s.low("subsystem's device", 4)
	if boardVendor != "" && boardVendor != "0000" {
		s.sayAll(s.names.PCIDevice(boardVendor, ""), "subsystem's vendor")
		s.say("subsystem's device", s.names.PCISubsystem(vendor, device, boardVendor, board))
	}
	class := s.names.PCIClass(s.value("class"), s.value("subclass"), s.value("interface"))
	s.sayAll(class, "class", "subclass", "interface")
	s.named(names, class)
}

// named calls a device by what its vendor calls it, and by its class where that
// is not known.
func (s *subject) named(names, class []string) {
	if len(names) < 2 && len(class) > 0 {
		names = with(names, class[min(1, len(class)-1)])
	}
	s.called(names...)
}

func tellUSB(s *subject) {
	names := s.names.USBDevice(s.value("vendor"), s.value("product"))
	s.sayAll(names, "vendor", "product")
	s.say("release", release(s.value("release")))
	s.usbClass("device's class", "device's subclass", "device's protocol")
	class := s.usbClass("interface's class", "interface's subclass", "interface's protocol")
	if len(class) > 1 {
		class[1] = class[0] + ", " + class[1] // "SCSI" alone says little
	}
	s.named(names, class)
}

// with adds to names what a device is, in brackets if it has a name.
func with(names []string, is string) []string {
	if len(names) > 0 {
		is = "(" + is + ")"
	}
	return append(names, is)
}

// usbClass puts a class into words, by the file of names or by what is known
// without it.
func (s *subject) usbClass(class, subclass, protocol string) []string {
	names := s.names.USBClass(s.value(class), s.value(subclass), s.value(protocol))
	if base := usbClasses()[s.value(class)]; len(names) == 0 && base != "" {
		names = []string{base}
	}
	s.sayAll(names, class, subclass, protocol)
	return names
}

// release is a number of binary-coded decimals, as USB's bcdDevice.
func release(bcd string) string {
	if len(bcd) != 4 || strings.Trim(bcd, "0123456789") != "" {
		return ""
	}
	return strings.TrimPrefix(bcd[:2], "0") + "." + bcd[2:]
}

// overUSB puts the vendor and the product of a device into words that came over
// some bus, if that is USB, whose numbers they are then.
func (s *subject) overUSB(vendor, product string) []string {
	if s.value("bus") != "0003" {
		return nil
	}
	names := s.names.USBDevice(vendor, product)
	s.sayAll(names, "vendor", "product")
	return names
}

func tellHID(s *subject) {
	bus := s.look("bus", inputBuses())
	s.look("group", hidGroups())
	names := s.overUSB(s.low("vendor", 4), s.low("product", 4))
	if len(names) == 0 && bus != "" {
		names = []string{"on " + bus}
	}
	s.called(names...)
}

func tellInput(s *subject) {
	s.look("bus", inputBuses())
	names := s.overUSB(s.value("vendor"), s.value("product"))
	for field, table := range inputCodes() {
		s.say(field, listed(s.valueOfCodes(field), table))
	}
	keys := keyKinds(s.valueOfCodes("keys"))
	s.say("keys", keys)
	if keys != "" {
		names = with(names, keys)
	}
	s.called(names...)
}

// valueOfCodes is a list's text, with the codes of a pattern too.
func (s *subject) valueOfCodes(field string) string {
	text, _ := s.id.Get(field)
	return strings.ReplaceAll(text, "*", ",")
}

// codes are the numbers of a list, of which "+" stands for more.
func codes(list string) (all []int) {
	for _, c := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' }) {
		if n, err := strconv.ParseUint(c, 16, 16); err == nil {
			all = append(all, int(n))
		}
	}
	return all
}

// listed are the names of the codes in a list.
func listed(list string, table map[int]string) string {
	var all []string
	for _, c := range codes(list) {
		name := table[c]
		if name == "" {
			name = fmt.Sprintf("%X", c)
		}
		all = append(all, name)
	}
	return strings.Join(all, ", ")
}

// keyKinds says what keys there are by the ranges of
// include/uapi/linux/input-event-codes.h. Those below 71 the kernel leaves out.
func keyKinds(list string) string {
	var all []string
	last := ""
	for _, c := range codes(list) {
		kind := "keys"
		for _, r := range keyRanges {
			if c >= r.first && c <= r.last {
				kind = r.kind
			}
		}
		if kind != last {
			all, last = append(all, kind), kind
		}
	}
	seen := map[string]bool{}
	kept := all[:0]
	for _, kind := range all {
		if !seen[kind] {
			seen[kind] = true
			kept = append(kept, kind)
		}
	}
	return strings.Join(kept, ", ")
}

func tellSerio(s *subject) {
	s.look("type", serioTypes())
	s.called(s.description.Fields[0].Says, s.look("protocol", serioProtocols()))
}

func tellACPI(s *subject) {
	text, _ := s.id.Get("ids")
	var fields []Field
	for i, id := range strings.FieldsFunc(text, func(r rune) bool { return r == ':' || r == '*' }) {
		f := Field{Name: "id", Value: id, Says: acpiIDs()[id]}
		if i > 0 {
			f.Name = "compatible"
		}
		s.called(f.Says)
		fields = append(fields, f)
	}
	if len(fields) > 0 {
		s.replace("ids", fields...)
		s.called(fields[0].Value)
	}
}

func tellVirtio(s *subject) {
	device := s.low("device", 2)
	s.say("device", virtioDevices()[device])
	s.sayAll(s.names.PCIDevice(s.low("vendor", 4), ""), "vendor")
	s.called(virtioDevices()[device])
}

func tellSDIO(s *subject) {
	class := s.look("class", sdioClasses())
	s.called(s.look("vendor", sdioVendors()), class)
}

func tellMMC(s *subject) {
	if s.value("card") == "block" {
		s.say("card", "a memory card, or an eMMC chip")
		s.called("memory card")
	}
}

func tellSSB(s *subject) {
	vendor := s.look("vendor", map[string]string{"4243": "Broadcom"})
	s.called(vendor, s.look("core", backplaneCores()))
}

func tellBCMA(s *subject) {
	vendor := s.look("manufacturer", map[string]string{"04BF": "Broadcom", "043B": "Arm", "04A7": "MIPS"})
	s.called(vendor, s.look("core", backplaneCores()))
}

func tellHDAudio(s *subject) {
	both := s.value("vendor and device")
	if len(both) == 8 { // the vendor is PCI's; the codec is none of its devices
		s.replace("vendor and device",
			Field{Name: "vendor", Value: both[:4]}, Field{Name: "device", Value: both[4:]})
		names := s.names.PCIDevice(both[:4], "")
		s.sayAll(names, "vendor")
		s.called(append(names, "codec", both[4:])...)
	}
	s.look("API", map[string]string{"01": "for snd_hda_intel and the like", "02": "for ASoC"})
}

func tellCDX(s *subject) {
	names := s.names.PCIDevice(s.value("vendor"), s.value("device"))
	s.sayAll(names, "vendor", "device")
	s.called(names...)
}

func tellULPI(s *subject) {
	names := s.names.USBDevice(s.value("vendor"), s.value("product"))
	s.sayAll(names, "vendor", "product")
	s.called(names...)
}

func tellTypeC(s *subject) {
	says := s.look("standard or vendor", map[string]string{"FF01": "DisplayPort", "8087": "Thunderbolt", "FF00": "USB Power Delivery"})
	if says == "" {
		names := s.names.USBDevice(s.value("standard or vendor"), "")
		s.sayAll(names, "standard or vendor")
		says = strings.Join(names, " ")
	}
	s.called(says)
}

func tellFireWire(s *subject) {
	s.look("specifier", map[string]string{"0000609E": "NCITS, for SBP-2", "0000A02D": "1394 Trade Association"})
	if s.value("specifier") == "0000609E" && s.value("version") == "00010483" {
		s.say("version", "SBP-2: a disk, or the like")
		s.called("storage")
	}
}

func tellDMI(s *subject) {
	var known []Field
	for _, f := range s.description.Fields {
		if f.Value != "" { // what a firmware leaves empty says nothing
			known = append(known, f)
		}
	}
	s.description.Fields = append([]Field{}, known...)
	s.look("chassis type", chassisTypes())
	s.called(s.value("system vendor"), s.value("product name"))
}

// tellPHY shows a PHY's id as drivers and data sheets have it, in hexadecimal.
func tellPHY(s *subject) {
	if n, err := strconv.ParseUint(s.value("PHY id"), 2, 32); err == nil {
		s.say("PHY id", fmt.Sprintf("0x%08x", n))
		s.called(fmt.Sprintf("with id 0x%08x", n))
	}
}

// tellAMBA divides a peripheral's id: a part's number, who designed it, and more
// (include/linux/amba/bus.h).
func tellAMBA(s *subject) {
	n, err := strconv.ParseUint(s.value("peripheral id"), 16, 32)
	if err != nil {
		return
	}
	designer, part := n>>12&0xff, n&0xfff
	if designer == 0x41 {
		says := strings.TrimRight(fmt.Sprintf("Arm PL%03X, %s", part, primeCells()[part]), ", ")
		s.say("peripheral id", fmt.Sprintf("%s, revision %d", says, n>>20&0xf))
		s.called(says)
		return
	}
	s.say("peripheral id", fmt.Sprintf("part %03X of designer %02X, revision %d", part, designer, n>>20&0xf))
}

func tellCPU(s *subject) {
	vendor := s.look("vendor", cpuVendors())
	for _, field := range []string{"family", "model"} {
		if n, err := strconv.ParseUint(s.value(field), 16, 16); err == nil {
			s.say(field, fmt.Sprint(n))
		}
	}
	features, _ := s.id.Get("features")
	if n := len(codes(strings.ReplaceAll(features, "*", ","))); n == 1 {
		s.say("features", "1 feature")
	} else if n > 1 {
		s.say("features", fmt.Sprint(n, " features"))
	}
	s.called(vendor, s.value("type"))
}

func tellAuxiliary(s *subject) {
	if module, part, ok := strings.Cut(s.value("name"), "."); ok {
		s.say("name", part+", made by module "+module)
	}
}

// tellTree lists what a node is compatible with, from the most specific on.
func tellTree(s *subject) {
	text, _ := s.id.Get("compatible")
	var fields []Field
	for i, c := range compatibles(text) {
		f := Field{Name: "compatible", Value: c, Any: c == "*"}
		switch {
		case f.Any:
			s.description.Pattern = true
		case i == 0 && !strings.HasPrefix(c, "*"):
			s.called(c)
		}
		fields = append(fields, f)
	}
	if len(fields) > 1 && !s.description.Pattern { // whose "T*" may stand for others, too
		fields[0].Says = "the most specific"
	}
	s.replace("compatible", fields...)
	if s.value("type") == "(null)" || s.value("type") == "" {
		s.say("type", "none")
	}
}

// compatibles divides what stands after the first "C" of a modalias. A "C" may
// be in a compatible string, where it begins no word that looks like one: those
// begin with a small letter, or with a vendor and a comma.
func compatibles(text string) (all []string) {
	begin := 0
	for i := 1; i < len(text); i++ {
		if text[i] == 'C' && beginsCompatible(text[i+1:]) {
			all = append(all, text[begin:i])
			begin = i + 1
		}
	}
	return append(all, text[begin:])
}

func beginsCompatible(text string) bool {
	if text == "" {
		return false
	}
	vendor, _, ok := strings.Cut(text, ",")
	return text[0] >= 'a' && text[0] <= 'z' || text[0] == '*' || ok && !strings.ContainsFunc(vendor, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-')
	})
}
