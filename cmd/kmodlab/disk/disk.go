// Package disk makes the content of the bench's disks: a FAT file system with
// one file, so that a scenario can read a disk raw, and can mount it and read
// the file, which needs modules of its own.
package disk

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// The layout is that of a 1.44 MB floppy disk, the commonest FAT12 file system
// (Microsoft Extensible Firmware Initiative FAT32 File System Specification,
// 2000).
const (
	sectorSize  = 512
	sectors     = 2880
	fatSectors  = 9
	rootEntries = 224

	firstFAT  = 1 * sectorSize
	secondFAT = firstFAT + fatSectors*sectorSize
	root      = secondFAT + fatSectors*sectorSize
	data      = root + rootEntries*32
)

// entry attributes.
const (
	attrVolume  = 0x08
	attrArchive = 0x20
)

// FAT returns a disk that holds one file. The label has at most 11 characters;
// the file's name is one of up to 8 characters, a dot and up to 3, and its text
// fits the first cluster, 512 bytes.
func FAT(label, name, text string) ([]byte, error) {
	base, ext, _ := strings.Cut(strings.ToUpper(name), ".")
	if len(label) > 11 || len(base) > 8 || len(ext) > 3 || len(text) > sectorSize {
		return nil, fmt.Errorf("make a disk %q with %q of %d bytes: too long for its file system", label, name, len(text))
	}
	image := make([]byte, sectors*sectorSize)
	copy(image, bootSector(label))
	// Entries 0 and 1 hold the media byte and the end mark; 2, the file's
	// only cluster, is a chain's end.
	fat := []byte{0xf0, 0xff, 0xff, 0xff, 0x0f}
	copy(image[firstFAT:], fat)
	copy(image[secondFAT:], fat)
	copy(image[root:], entry(fmt.Sprintf("%-11s", strings.ToUpper(label)), attrVolume, 0, 0))
	copy(image[root+32:], entry(fmt.Sprintf("%-8s%-3s", base, ext), attrArchive, 2, len(text)))
	copy(image[data:], text)
	return image, nil
}

// bootSector describes the disk. Its first bytes jump over the description, as
// a reader expects.
func bootSector(label string) []byte {
	b := make([]byte, 0, sectorSize)
	u16 := func(v uint16) { b = binary.LittleEndian.AppendUint16(b, v) }
	b = append(b, 0xeb, 0x3c, 0x90)
	b = append(b, "KMODLAB "...)
	u16(sectorSize)
	b = append(b, 1) // sectors per cluster
	u16(1)           // reserved sectors: this one
	b = append(b, 2) // tables
	u16(rootEntries)
	u16(sectors)
	b = append(b, 0xf0) // media
	u16(fatSectors)
	u16(18) // sectors per track
	u16(2)  // heads
	b = append(b, make([]byte, 8)...)
	b = append(b, 0, 0, 0x29)             // drive, reserved, extended signature
	b = append(b, 0x6b, 0x6d, 0x6f, 0x64) // serial number
	b = append(b, fmt.Sprintf("%-11s", strings.ToUpper(label))...)
	b = append(b, "FAT12   "...)
	b = append(b, make([]byte, sectorSize-2-len(b))...)
	return append(b, 0x55, 0xaa)
}

// entry is a line of the root directory.
func entry(name string, attr byte, cluster uint16, size int) []byte {
	e := append([]byte(name), attr)
	e = append(e, make([]byte, 14)...)
	e = binary.LittleEndian.AppendUint16(e, cluster)
	return binary.LittleEndian.AppendUint32(e, uint32(size))
}
