package main

import (
	"fmt"
	"io"
	"os"
)

// readAtMost reads a file, or what comes through a pipe, that has no more bytes than some
// number: what is larger is not what somebody meant to name.
func readAtMost(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("read %s: it has more than %d bytes: is it the right file?", name, most)
	}
	return text, err
}
