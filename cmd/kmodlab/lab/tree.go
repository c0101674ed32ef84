package lab

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// The tokens of a flattened device tree (Devicetree Specification 0.4, 5.4.1).
const (
	beginNode = 1
	endNode   = 2
	property  = 3
	noOp      = 4
)

// enable changes a flattened device tree so that a node of it which says that it is
// disabled is in use: some boards have no second serial port on their connectors, and so
// leave out what QEMU has. The shorter word leaves room, which is filled up.
func enable(tree []byte, node string) error {
	if len(tree) < 40 || binary.BigEndian.Uint32(tree) != 0xd00dfeed {
		return errors.New("it is no flattened device tree")
	}
	words, names := tree[min(len(tree), int(word(tree, 2))):], tree[min(len(tree), int(word(tree, 3))):]
	path := []string{}
	for at := 0; at+12 <= len(words); {
		switch token := word(words, at/4); token {
		case beginNode:
			name, _, _ := bytes.Cut(words[at+4:], []byte{0})
			path = append(path, string(name))
			at += 4 + padded(len(name)+1)
		case endNode:
			path = path[:len(path)-1]
			at += 4
		case property:
			size := int(word(words, at/4+1))
			name, _, _ := bytes.Cut(names[word(words, at/4+2):], []byte{0})
			value := words[at+12 : at+12+size]
			if string(name) == "status" && strings.Join(path, "/") == node && string(value) == "disabled\x00" {
				copy(words[at+12:], "okay\x00\x00\x00\x00")
				binary.BigEndian.PutUint32(words[at+4:], 5)
				binary.BigEndian.PutUint32(words[at+20:], noOp)
				return nil
			}
			at += 12 + padded(size)
		case noOp:
			at += 4
		default:
			return fmt.Errorf("the device tree has no node %s that is disabled", node)
		}
	}
	return errors.New("the device tree is cut short")
}

func word(b []byte, i int) uint32 { return binary.BigEndian.Uint32(b[4*i:]) }

// padded is how many bytes something takes among whole words.
func padded(size int) int { return (size + 3) &^ 3 }
