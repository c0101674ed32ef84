package camera

import "github.com/kmodd/kmodd/cmd/kmodlab/usbip"

// The kind and the recipient of a request, without its direction (USB 2.0,
// table 9-2).
const (
	toDevice         = 0x00
	toInterface      = 0x01
	toEndpoint       = 0x02
	classToInterface = 0x21
	fromDevice       = 0x80 // the direction
)

// Standard requests (USB 2.0, table 9-4).
const (
	getStatus        = 0
	clearFeature     = 1
	setFeature       = 3
	getDescriptor    = 6
	getConfiguration = 8
	setConfiguration = 9
	getInterface     = 10
	setInterface     = 11
)

// Requests of the class (UVC 1.1, A.8).
const (
	setCur  = 0x01
	getCur  = 0x81
	getMin  = 0x82
	getMax  = 0x83
	getLen  = 0x85
	getInfo = 0x86
	getDef  = 0x87
)

// Controls of the class (UVC 1.1, A.9.1 and A.9.8).
const (
	controlError  = 2 // of the control interface: why the last request was refused
	streamProbe   = 1
	streamCommit  = 2
	readable      = 1 << 0 // bits of getInfo
	writable      = 1 << 1
	failUnit      = 5 // values of controlError (UVC 1.1, 4.2.1.2)
	failControl   = 6
	failRequest   = 7
	probeLen      = 34 // bytes of streamProbe, in version 1.1
	noFailure     = 0
	firstOfFormat = 1
)

// control answers a request on endpoint 0. ok is false where the camera
// refuses it.
func (c *Camera) control(s usbip.Setup, data []byte) (answer []byte, ok bool) {
	switch s.Type &^ fromDevice {
	case toDevice:
		return c.askDevice(s)
	case toInterface:
		return c.askInterface(s)
	case toEndpoint:
		return c.askEndpoint(s)
	case classToInterface:
		answer, c.failure = c.askClass(s, data)
		return answer, c.failure == noFailure
	default:
		return nil, false
	}
}

func (c *Camera) askDevice(s usbip.Setup) (answer []byte, ok bool) {
	switch s.Request {
	case getDescriptor:
		return c.descriptor(byte(s.Value>>8), byte(s.Value))
	case getStatus:
		return []byte{0, 0}, true // it lives off the bus, and wakes nobody
	case getConfiguration:
		return []byte{c.configured}, true
	case setConfiguration:
		if s.Value > 1 {
			return nil, false
		}
		c.configured = byte(s.Value)
		c.stream.stop()
		return nil, true
	default:
		return nil, false
	}
}

func (c *Camera) descriptor(kind, number byte) (answer []byte, ok bool) {
	switch {
	case kind == typeDevice && number == 0:
		return deviceDescriptor(c.identity), true
	case kind == typeConfiguration && number == 0:
		return configurationDescriptor(), true
	case kind == typeString:
		return stringDescriptor(c.identity, number)
	default:
		return nil, false
	}
}

// askInterface answers for either interface, which has one setting each.
func (c *Camera) askInterface(s usbip.Setup) (answer []byte, ok bool) {
	switch s.Request {
	case getStatus:
		return []byte{0, 0}, true
	case getInterface:
		return []byte{0}, true
	case setInterface:
		c.stream.stop()
		return nil, s.Value == 0 && s.Index <= streamInterface
	default:
		return nil, false
	}
}

// askEndpoint answers for the bulk endpoint, which is never halted. That it is
// cleared is the end of a stream.
func (c *Camera) askEndpoint(s usbip.Setup) (answer []byte, ok bool) {
	switch s.Request {
	case getStatus:
		return []byte{0, 0}, true
	case clearFeature:
		c.stream.stop()
		return nil, true
	default:
		return nil, false
	}
}

// askClass answers a request of the class, or says why not.
func (c *Camera) askClass(s usbip.Setup, data []byte) (answer []byte, failure byte) {
	unit, control := byte(s.Index>>8), byte(s.Value>>8)
	switch {
	case unit != 0:
		return nil, failUnit // the terminals have no controls
	case byte(s.Index) == controlInterface && control == controlError:
		return c.askError(s.Request)
	case byte(s.Index) == streamInterface && (control == streamProbe || control == streamCommit):
		return c.askProbe(s.Request, data)
	default:
		return nil, failControl
	}
}

func (c *Camera) askError(request byte) (answer []byte, failure byte) {
	switch request {
	case getCur:
		return []byte{c.failure}, noFailure
	case getInfo:
		return []byte{readable}, noFailure
	default:
		return nil, failRequest
	}
}

// askProbe negotiates what will be streamed (UVC 1.1, 4.3.1.1): whatever the
// kernel wants, there is one format in one size at one rate.
func (c *Camera) askProbe(request byte, data []byte) (answer []byte, failure byte) {
	switch request {
	case getCur, getMin, getMax, getDef:
		return probe(), noFailure
	case getLen:
		return []byte{probeLen, 0}, noFailure
	case getInfo:
		return []byte{readable | writable}, noFailure
	case setCur:
		if len(data) != probeLen {
			return nil, failRequest
		}
		c.stream.stop()
		return nil, noFailure
	default:
		return nil, failRequest
	}
}

// probe is what the camera streams (UVC 1.1, table 4-47).
func probe() desc {
	const framesAreMarked = 1<<0 | 1<<1 // by their parity, and at their end
	return desc{}.u16(0).u8(firstOfFormat, firstOfFormat).u32(interval).
		u16(0).u16(0).u16(0).u16(0). // of compressed formats
		u16(0).                      // delay
		u32(pictureLen).u32(maxPayload).u32(clock).
		u8(framesAreMarked, 1, 1, 1)
}
