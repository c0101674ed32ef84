// Devices that QEMU has no model of, for the machine with a device on each bus.
// buses.aml is made from this by iasl (Debian's package acpica-tools):
//
//	iasl -p buses buses.asl
//
// QEMU adds it to its own tables (-acpitable).
DefinitionBlock ("", "SSDT", 2, "KMODD", "BUSES", 1)
{
    Scope (\_SB)
    {
        // A firmware with one WMI object, the description of all the others.
        Device (WMI0)
        {
            Name (_HID, "PNP0C14")
            Name (_UID, "KMODD")
            Name (_WDG, Buffer ()
            {
                // 05901221-D566-11D1-B2F0-00A0C9062910
                0x21, 0x12, 0x90, 0x05, 0x66, 0xD5, 0xD1, 0x11,
                0xB2, 0xF0, 0x00, 0xA0, 0xC9, 0x06, 0x29, 0x10,
                0x42, 0x41, // its data is asked for by WQBA
                0x01,       // there is one of it
                0x00        // that costs nothing
            })
            Method (WQBA, 1)
            {
                Return (Buffer () { 0x46, 0x4F, 0x4D, 0x42 })
            }
        }

        // A device that is described as in a device tree.
        Device (LEDS)
        {
            Name (_HID, "PRP0001")
            Name (_DSD, Package ()
            {
                ToUUID ("daffd814-6eba-4d8c-8a91-bc9bbf4aa301"),
                Package () { Package () { "compatible", "gpio-leds" } }
            })
        }
    }
}
