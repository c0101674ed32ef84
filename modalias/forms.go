package modalias

// forms are the buses of Linux 6.1 and of the kernels since, in the order of
// the kernel's devtable[] in scripts/mod/file2alias.c; then those whose drivers
// write their patterns by hand. The ids themselves are put together by each
// bus, in the uevent function of its struct bus_type.
//
// They are constants without exception, so that a program that uses none of
// them holds none of them.
var forms = []Form{
	{Bus: "hid", Tables: []string{"hid"}, Prefix: "hid:", Fields: []Field{
		{"b", "bus", Hex4, false}, {"g", "group", Hex4, false}, {"v", "vendor", Hex8, false}, {"p", "product", Hex8, false},
	}},
	{Bus: "firewire", Tables: []string{"ieee1394"}, Prefix: "ieee1394:", Fields: []Field{
		{"ven", "vendor", Hex8, false}, {"mo", "model", Hex8, false}, {"sp", "specifier", Hex8, false}, {"ver", "version", Hex8, false},
	}},
	{Bus: "pci", Tables: []string{"pci"}, Prefix: "pci:", Fields: pciFields},
	// Drivers that take a device only if driver_override names them.
	{Bus: "vfio_pci", Tables: []string{"pci"}, Prefix: "vfio_pci:", Fields: pciFields},
	{Bus: "ccw", Tables: []string{"ccw"}, Prefix: "ccw:", Fields: []Field{
		{"t", "control unit's type", Hex4, false}, {"m", "control unit's model", Hex2, false},
		{"dt", "device's type", Hex4, true}, {"dm", "device's model", Hex2, true},
	}},
	{Bus: "ap", Tables: []string{"ap"}, Prefix: "ap:", Fields: []Field{{"t", "type", Hex2, false}}},
	{Bus: "css", Tables: []string{"css"}, Prefix: "css:", Fields: []Field{{"t", "subchannel's type", Hex1, false}}},
	{Bus: "serio", Tables: []string{"serio"}, Prefix: "serio:", Fields: []Field{
		{"ty", "type", Hex2, false}, {"pr", "protocol", Hex2, false}, {"id", "id", Hex2, false}, {"ex", "extra", Hex2, false},
	}},
	// The ids of the device itself, then those of what it is compatible with,
	// with a ":" between them. Tables for pnp give patterns of this form, too.
	{Bus: "acpi", Tables: []string{"acpi", "pnp", "pnp_card"}, Prefix: "acpi", End: ":", Fields: []Field{{":", "ids", Name, false}}},
	{Bus: "pcmcia", Tables: []string{"pcmcia"}, Prefix: "pcmcia:", Fields: []Field{
		{"m", "manufacturer", Hex4, false}, {"c", "card", Hex4, false}, {"f", "function's id", Hex2, false},
		{"fn", "function's number", Hex2, false}, {"pfn", "device's number", Hex2, false},
		{"pa", "hash of product id 1", Hex8, false}, {"pb", "hash of product id 2", Hex8, false},
		{"pc", "hash of product id 3", Hex8, false}, {"pd", "hash of product id 4", Hex8, false},
	}},
	{Bus: "vio", Tables: []string{"vio"}, Prefix: "vio:", Fields: []Field{{"T", "type", Text, false}, {"S", "compatible", Text, false}}},
	{Bus: "input", Tables: []string{"input"}, Prefix: "input:", Fields: []Field{
		{"b", "bus", Hex4, false}, {"v", "vendor", Hex4, false}, {"p", "product", Hex4, false}, {"e", "version", Hex4, false},
		{"-e", "events", Codes, false}, {"k", "keys", Codes, false}, {"r", "relative axes", Codes, false},
		{"a", "absolute axes", Codes, false}, {"m", "miscellaneous", Codes, false}, {"l", "lights", Codes, false},
		{"s", "sounds", Codes, false}, {"f", "force feedback", Codes, false}, {"w", "switches", Codes, false},
	}},
	{Bus: "eisa", Tables: []string{"eisa"}, Prefix: "eisa:", Fields: []Field{{"s", "signature", Name, false}}},
	{Bus: "parisc", Tables: []string{"parisc"}, Prefix: "parisc:", Fields: []Field{
		{"t", "hardware's type", Hex2, false}, {"hv", "hardware's version", Hex4, false},
		{"rev", "hardware's revision", Hex2, false}, {"sv", "software's version", Hex8, false},
	}},
	{Bus: "sdio", Tables: []string{"sdio"}, Prefix: "sdio:", Fields: []Field{
		{"c", "class", Hex2, false}, {"v", "vendor", Hex4, false}, {"d", "device", Hex4, false},
	}},
	{Bus: "ssb", Tables: []string{"ssb"}, Prefix: "ssb:", Fields: []Field{
		{"v", "vendor", Hex4, false}, {"id", "core", Hex4, false}, {"rev", "revision", Hex2, false},
	}},
	{Bus: "bcma", Tables: []string{"bcma"}, Prefix: "bcma:", Fields: []Field{
		{"m", "manufacturer", Hex4, false}, {"id", "core", Hex4, false}, {"rev", "revision", Hex2, false}, {"cl", "class", Hex2, false},
	}},
	{Bus: "virtio", Tables: []string{"virtio"}, Prefix: "virtio:", Fields: []Field{
		{"d", "device", Hex8, false}, {"v", "vendor", Hex8, false},
	}},
	{Bus: "vmbus", Tables: []string{"vmbus"}, Prefix: "vmbus:", Fields: []Field{{"", "class", Lower32, false}}},
	{Bus: "rpmsg", Tables: []string{"rpmsg"}, Prefix: "rpmsg:", Fields: nameField},
	{Bus: "i2c", Tables: []string{"i2c"}, Prefix: "i2c:", Fields: nameField},
	// A device with a random serial number has no part and no extra.
	{Bus: "i3c", Tables: []string{"i3c"}, Prefix: "i3c:", Fields: []Field{
		{"dcr", "characteristics", Hex2, false}, {"manuf", "manufacturer", Hex4, false},
		{"part", "part", Hex4, true}, {"ext", "extra", Hex4, true},
	}},
	{Bus: "slimbus", Tables: []string{"slim"}, Prefix: "slim:", Fields: []Field{
		{"", "manufacturer", LowerHex, false}, {":", "product", LowerHex, false},
		{":", "device's index", LowerHex, false}, {":", "instance", LowerHex, false},
	}},
	{Bus: "spi", Tables: []string{"spi"}, Prefix: "spi:", Fields: nameField},
	// What a firmware doesn't say at all is left out (dmi-id.c).
	{Bus: "dmi", Tables: []string{"dmi"}, Prefix: "dmi", End: ":", Fields: []Field{
		{":bvn", "BIOS vendor", Word, true}, {":bvr", "BIOS version", Word, true}, {":bd", "BIOS date", Word, true},
		{":br", "BIOS release", Word, true}, {":efr", "EC firmware release", Word, true},
		{":svn", "system vendor", Word, true}, {":pn", "product name", Word, true}, {":pvr", "product version", Word, true},
		{":rvn", "board vendor", Word, true}, {":rn", "board name", Word, true}, {":rvr", "board version", Word, true},
		{":cvn", "chassis vendor", Word, true}, {":ct", "chassis type", Word, true}, {":cvr", "chassis version", Word, true},
		{":sku", "product SKU", Word, true},
	}},
	{Bus: "platform", Tables: []string{"platform"}, Prefix: "platform:", Fields: nameField},
	// Nothing on this bus says so in its MODALIAS: phylib requests the driver
	// by this id when it finds a PHY. In device trees they are of: devices.
	{Bus: "mdio_bus", Tables: []string{"mdio"}, Prefix: "mdio:", Fields: []Field{{"", "PHY id", Bits, false}}},
	{Bus: "zorro", Tables: []string{"zorro"}, Prefix: "zorro:", Fields: []Field{{"i", "id", Hex8, false}}},
	{Bus: "pnp", Tables: []string{"pnp", "pnp_card", "isapnp"}, Prefix: "pnp:", Fields: []Field{{"d", "id", Name, false}}},
	{Bus: "ipack", Tables: []string{"ipack"}, Prefix: "ipack:", Fields: []Field{
		{"f", "format", Hex2, false}, {"v", "vendor", Hex8, false}, {"d", "device", Hex8, false},
	}},
	{Bus: "amba", Tables: []string{"amba"}, Prefix: "amba:", Fields: []Field{{"d", "peripheral id", Hex8, false}}},
	{Bus: "mipscdmm", Tables: []string{"mipscdmm"}, Prefix: "mipscdmm:", Fields: []Field{{"t", "type", Hex2, false}}},
	{Bus: "cpu", Tables: []string{"x86cpu", "cpu"}, Prefix: "cpu:type:", Fields: []Field{
		{"", "type", Name, false}, {",ven", "vendor", Hex4, true}, {"fam", "family", Hex4, true}, {"mod", "model", Hex4, true},
		{":feature:", "features", Codes, false},
	}},
	{Bus: "mcb", Tables: []string{"mcb"}, Prefix: "mcb:", Fields: []Field{{"16z", "device", Decimal, false}}},
	{Bus: "mei", Tables: []string{"mei"}, Prefix: "mei:", End: ":", Fields: []Field{
		{"", "name", Word, false}, {":", "UUID", UUID, false}, {":", "version", Hex2, false},
	}},
	{Bus: "rapidio", Tables: []string{"rapidio"}, Prefix: "rapidio:", Fields: []Field{
		{"v", "vendor", Hex4, false}, {"d", "device", Hex4, false},
		{"av", "assembly's vendor", Hex4, false}, {"ad", "assembly's device", Hex4, false},
	}},
	{Bus: "ulpi", Tables: []string{"ulpi"}, Prefix: "ulpi:", Fields: []Field{
		{"v", "vendor", Lower4, false}, {"p", "product", Lower4, false},
	}},
	{Bus: "hdaudio", Tables: []string{"hdaudio"}, Prefix: "hdaudio:", Fields: []Field{
		{"v", "vendor and device", Hex8, false}, {"r", "revision", Hex8, false}, {"a", "API", Hex2, false},
	}},
	{Bus: "soundwire", Tables: []string{"sdw"}, Prefix: "sdw:", Fields: []Field{
		{"m", "manufacturer", Hex4, false}, {"p", "part", Hex4, false}, {"v", "version", Hex2, false}, {"c", "class", Hex2, false},
	}},
	{Bus: "fsl-mc", Tables: []string{"fslmc"}, Prefix: "fsl-mc:", Fields: []Field{
		{"v", "vendor", Hex8, false}, {"d", "type", Name, false},
	}},
	{Bus: "thunderbolt", Tables: []string{"tbsvc"}, Prefix: "tbsvc:", Fields: []Field{
		{"k", "protocol's key", Name, false}, {"p", "protocol", Hex8, false}, {"v", "version", Hex8, false}, {"r", "revision", Hex8, false},
	}},
	// Kernels after 6.12 leave the mode out.
	{Bus: "typec", Tables: []string{"typec"}, Prefix: "typec:", Fields: []Field{
		{"id", "standard or vendor", Hex4, false}, {"m", "mode", Hex2, true},
	}},
	{Bus: "tee", Tables: []string{"tee"}, Prefix: "tee:", Fields: []Field{{"", "UUID", UUID, false}}},
	{Bus: "wmi", Tables: []string{"wmi"}, Prefix: "wmi:", Fields: []Field{{"", "GUID", GUID, false}}},
	{Bus: "mhi", Tables: []string{"mhi"}, Prefix: "mhi:", Fields: nameField},
	{Bus: "mhi_ep", Tables: []string{"mhi_ep"}, Prefix: "mhi_ep:", Fields: nameField},
	{Bus: "auxiliary", Tables: []string{"auxiliary"}, Prefix: "auxiliary:", Fields: nameField},
	{Bus: "surface_aggregator", Tables: []string{"ssam"}, Prefix: "ssam:", Fields: []Field{
		{"d", "domain", Hex2, false}, {"c", "category", Hex2, false}, {"t", "target", Hex2, false},
		{"i", "instance", Hex2, false}, {"f", "function", Hex2, false},
	}},
	{Bus: "dfl", Tables: []string{"dfl"}, Prefix: "dfl:", Fields: []Field{
		{"t", "type", Hex4, false}, {"f", "feature", Hex4, false},
	}},
	{Bus: "ishtp", Tables: []string{"ishtp"}, Prefix: "ishtp:{", End: "}", Fields: []Field{{"", "GUID", GUID, false}}},
	{Bus: "cdx", Tables: []string{"cdx"}, Prefix: "cdx:", Fields: cdxFields},
	{Bus: "vfio_cdx", Tables: []string{"cdx"}, Prefix: "vfio_cdx:", Fields: cdxFields},
	{Bus: "vchiq", Tables: []string{"vchiq"}, Prefix: "vchiq:", Fields: nameField},
	{Bus: "coreboot", Tables: []string{"coreboot"}, Prefix: "coreboot:", Fields: []Field{{"t", "tag", Hex8, false}}},
	// Devices of a device tree, on whatever bus they are. The compatible
	// strings stay together: each begins with a "C", but a "C" may be in them.
	{Bus: "of", Tables: []string{"of"}, Prefix: "of:", Fields: []Field{
		{"N", "name", Text, false}, {"T", "type", Text, false}, {"C", "compatible", Text, true},
	}},
	{Bus: "usb", Tables: []string{"usb"}, Prefix: "usb:", Fields: []Field{
		{"v", "vendor", Hex4, false}, {"p", "product", Hex4, false}, {"d", "release", Hex4, false},
		{"dc", "device's class", Hex2, false}, {"dsc", "device's subclass", Hex2, false}, {"dp", "device's protocol", Hex2, false},
		{"ic", "interface's class", Hex2, false}, {"isc", "interface's subclass", Hex2, false},
		{"ip", "interface's protocol", Hex2, false}, {"in", "interface's number", Hex2, false},
	}},

	{Bus: "scsi", Prefix: "scsi:", Fields: []Field{{"t-0x", "type", LowerHex, false}}},
	{Bus: "mmc", Prefix: "mmc:", Fields: []Field{{"", "card", Name, false}}},
	{Bus: "nd", Prefix: "nd:", Fields: []Field{{"t", "type", Decimal, false}}},
	{Bus: "dax", Prefix: "dax:", Fields: []Field{{"t", "type", Decimal, false}}},
	{Bus: "cxl", Prefix: "cxl:", Fields: []Field{{"t", "type", Decimal, false}}},
	{Bus: "xen", Prefix: "xen:", Fields: nameField},
	{Bus: "xen-backend", Prefix: "xen-backend:", Fields: nameField},
	{Bus: "mipi-dsi", Prefix: "mipi-dsi:", Fields: nameField},
	{Bus: "arm_ffa", Prefix: "arm_ffa:", Fields: []Field{{"", "partition", Lower4, false}, {":", "UUID", UUID, false}}},
	{Bus: "aprbus", Prefix: "apr:", Fields: nameField},
	{Bus: "hsi", Prefix: "hsi:", Fields: nameField},
	{Bus: "gio", Prefix: "gio:", Fields: []Field{{"", "id", LowerHex, false}}},
	{Bus: "ps3_system_bus", Prefix: "ps3:", Fields: []Field{{"", "id", Decimal, false}, {":", "sub-id", Decimal, false}}},
	{Bus: "scm", Prefix: "scm:", Fields: nameField},
}

// nameField is the one field of buses whose devices have names.
var nameField = []Field{{"", "name", Name, false}}

var pciFields = []Field{
	{"v", "vendor", Hex8, false}, {"d", "device", Hex8, false},
	{"sv", "subsystem's vendor", Hex8, false}, {"sd", "subsystem's device", Hex8, false},
	{"bc", "class", Hex2, false}, {"sc", "subclass", Hex2, false}, {"i", "interface", Hex2, false},
}

// cdxFields end with a class that devices write with 6 digits and tables of
// drivers with 8.
var cdxFields = []Field{
	{"v", "vendor", Hex4, false}, {"d", "device", Hex4, false},
	{"sv", "subsystem's vendor", Hex4, false}, {"sd", "subsystem's device", Hex4, false}, {"c", "class", Hex6, false},
}
