package camera

import (
	"encoding/binary"
	"slices"
	"unicode/utf16"
)

// The camera's interfaces and endpoint.
const (
	controlInterface = 0
	streamInterface  = 1

	streamEndpoint = 0x81
	bulkPacket     = 512 // bytes, as of every bulk endpoint of high speed
)

// The terminals of the camera.
const (
	cameraTerminal = 1
	streamTerminal = 2
)

// Types of descriptors (USB 2.0, table 9-5; UVC 1.1, A.4).
const (
	typeDevice        = 1
	typeConfiguration = 2
	typeString        = 3
	typeInterface     = 4
	typeEndpoint      = 5
	typeAssociation   = 11
	typeClass         = 0x24 // of an interface, said by its class
)

// Subtypes of the class's descriptors (UVC 1.1, A.5 and A.6).
const (
	controlHeader    = 1
	inputTerminal    = 2
	outputTerminal   = 3
	streamHeader     = 1
	formatPlain      = 4
	framePlain       = 5
	colourMatching   = 13
	classVideo       = 14
	subclassControl  = 1
	subclassStream   = 2
	subclassTogether = 3
)

// yuy2 is the name of the format, a GUID (USB_Video_Payload_Uncompressed_1.1,
// table 2-1).
const yuy2 = "YUY2\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"

// clock is the frequency of the clock that the class wants named, in Hz. No
// payload of this camera has a time.
const clock = 48_000_000

// interval is the time between two pictures, in 100 ns.
const interval = 10_000_000 / Rate

const pictureLen = 2 * Width * Height

// Numbers of strings.
const (
	stringMaker = iota + 1
	stringProduct
	stringSerial
)

// A desc is a descriptor that is written down: its bytes, and its numbers of
// more than one byte, which are little-endian.
type desc []byte

func (d desc) u8(v ...byte) desc     { return append(d, v...) }
func (d desc) u16(v uint16) desc     { return binary.LittleEndian.AppendUint16(d, v) }
func (d desc) u32(v uint32) desc     { return binary.LittleEndian.AppendUint32(d, v) }
func (d desc) text(v string) desc    { return append(d, v...) }
func (d desc) headed(kind byte) desc { return append(desc{byte(len(d) + 2), kind}, d...) }

// deviceDescriptor says that the functions are told of by associations (USB
// Interface Association Descriptor ECN).
func deviceDescriptor(id Identity) desc {
	const usb2, release, packet0 = 0x0200, 0x0100, 64
	return desc{}.u16(usb2).u8(0xef, 2, 1, packet0).
		u16(id.Vendor).u16(id.Product).u16(release).
		u8(stringMaker, stringProduct, stringSerial, 1).headed(typeDevice)
}

// configurationDescriptor is the only configuration, with all that it holds.
func configurationDescriptor() desc {
	const busPowered, milliamperes = 0x80, 100
	held := slices.Concat(
		desc{}.u8(controlInterface, 2, classVideo, subclassTogether, 0, stringProduct).headed(typeAssociation),
		interfaceDescriptor(controlInterface, 0, subclassControl), controlDescriptors(),
		interfaceDescriptor(streamInterface, 1, subclassStream), streamDescriptors(),
		desc{}.u8(streamEndpoint, 2).u16(bulkPacket).u8(0).headed(typeEndpoint),
	)
	const own = 9
	return append(desc{}.u16(uint16(own+len(held))).
		u8(2, 1, 0, busPowered, milliamperes/2).headed(typeConfiguration), held...)
}

func interfaceDescriptor(number, endpoints, subclass byte) desc {
	return desc{}.u8(number, 0, endpoints, classVideo, subclass, 0, 0).headed(typeInterface)
}

// controlDescriptors are the terminals (UVC 1.1, 3.7.2).
func controlDescriptors() desc {
	const uvc11, camera, streaming = 0x0110, 0x0201, 0x0101
	terminals := slices.Concat(
		// No lens that zooms, and none of the controls that 3 bytes could name.
		desc{}.u8(inputTerminal, cameraTerminal).u16(camera).u8(0, 0).
			u16(0).u16(0).u16(0).u8(3, 0, 0, 0).headed(typeClass),
		desc{}.u8(outputTerminal, streamTerminal).u16(streaming).
			u8(0, cameraTerminal, 0).headed(typeClass),
	)
	const own = 13
	return append(desc{}.u8(controlHeader).u16(uvc11).u16(uint16(own+len(terminals))).
		u32(clock).u8(1, streamInterface).headed(typeClass), terminals...)
}

// streamDescriptors are the format and the size of the pictures (UVC 1.1,
// 3.9.2, and USB_Video_Payload_Uncompressed_1.1).
func streamDescriptors() desc {
	const bitRate = 8 * pictureLen * Rate
	formats := slices.Concat(
		desc{}.u8(formatPlain, 1, 1).text(yuy2).u8(16, 1, 0, 0, 0, 0).headed(typeClass),
		desc{}.u8(framePlain, 1, 0).u16(Width).u16(Height).u32(bitRate).u32(bitRate).
			u32(pictureLen).u32(interval).u8(1).u32(interval).headed(typeClass),
		desc{}.u8(colourMatching, 1, 1, 4).headed(typeClass),
	)
	const own = 14
	return append(desc{}.u8(streamHeader, 1).u16(uint16(own+len(formats))).
		u8(streamEndpoint, 0, streamTerminal, 0, 0, 0, 1, 0).headed(typeClass), formats...)
}

// maxString is how many units of UTF-16 a string descriptor holds.
const maxString = (255 - 2) / 2

// stringDescriptor is one of the strings, in the one language that there is.
func stringDescriptor(id Identity, number byte) (desc, bool) {
	const english = 0x0409
	texts := []string{stringMaker: "kmodlab", stringProduct: "Bench Camera", stringSerial: id.Serial}
	switch {
	case number == 0:
		return desc{}.u16(english).headed(typeString), true
	case int(number) >= len(texts):
		return nil, false
	}
	units := utf16.Encode([]rune(texts[number]))
	var d desc
	for _, unit := range units[:min(len(units), maxString)] {
		d = d.u16(unit)
	}
	return d.headed(typeString), true
}
