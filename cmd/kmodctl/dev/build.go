package dev

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/match/kofile"
	"github.com/kmodd/kmodd/match/kofile/unpack"
	"github.com/kmodd/kmodd/modalias"
)

// A build is a module's file as it was at some time.
type build struct {
	identity
	module     string // the kernel's name of it
	needs      []string
	softdeps   []string // those to be tried before it
	parameters []kofile.Parameter
}

// An identity tells two builds apart.
type identity struct {
	dev, ino uint64
	size     int64
	at       time.Time
}

func identityOf(f *os.File) (identity, error) {
	var s unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &s); err != nil {
		return identity{}, err
	}
	return identity{uint64(s.Dev), uint64(s.Ino), s.Size, time.Unix(s.Mtim.Unix())}, nil
}

// errWriting says that somebody has the file open for writing.
var errWriting = errors.New("somebody is writing it")

// unfinished says whether a build may become whole by itself.
func unfinished(err error) bool {
	return errors.Is(err, errWriting) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrNotExist)
}

// readBuild reads a module's file, if it is whole.
func readBuild(file string) (*build, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0) // a FIFO would never open
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	if err := unwritten(f); err != nil {
		return nil, err
	}
	b := &build{}
	if b.identity, err = identityOf(f); err != nil {
		return nil, err
	}
	if b.size == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	image, err := unpack.OpenModule(file)
	if err != nil {
		return nil, err
	}
	defer image.Close()
	b.describe(file, image.Info)
	return b, nil
}

func (b *build) describe(file string, info kofile.Info) {
	b.module = info.Name(modalias.ModuleName(filepath.Base(file)))
	for need := range strings.SplitSeq(info.Field("depends"), ",") {
		if need != "" {
			b.needs = append(b.needs, modalias.ModuleName(need))
		}
	}
	for line := range info.Fields("softdep") {
		b.softdeps = append(b.softdeps, before(line)...)
	}
	b.parameters = info.Parameters()
}

// before lists what a softdep wants before the module: what follows "pre:".
func before(softdep string) (names []string) {
	pre := false
	for word := range strings.FieldsSeq(softdep) {
		switch {
		case word == "pre:", word == "post:":
			pre = word == "pre:"
		case pre:
			names = append(names, word)
		}
	}
	return names
}

// unwritten says whether nobody has a file open for writing: only then can there be a lease
// of it for reading. Where there are no leases, and on files of others, it can't be told.
func unwritten(f *os.File) error {
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	if errors.Is(err, unix.EAGAIN) {
		return errWriting
	}
	if err == nil {
		_, _ = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	}
	return nil
}

// sum tells whether the sources in a folder have changed. What can't be read is as good as
// not there.
func sum(dir string) string {
	entries, _ := os.ReadDir(dir)
	h := sha256.New()
	for _, e := range entries {
		if !isSource(e.Name()) {
			continue
		}
		if text, err := os.ReadFile(filepath.Join(dir, e.Name())); err == nil {
			fmt.Fprintf(h, "%q %d\n", e.Name(), len(text))
			h.Write(text)
		}
	}
	return string(h.Sum(nil))
}
