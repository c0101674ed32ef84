// Package screen has text shown that others have chosen.
package screen

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// A Screen passes on text, and shows what a terminal would take for a command,
// such as ESC, as \u001b. The names of devices come from devices: of a
// Thunderbolt host's services (tbsvc:k...) or of a remote processor's channels
// (rpmsg:...) every byte may be chosen by whoever is plugged in. JSON keeps its
// meaning by this.
type Screen struct {
	to   io.Writer
	half []byte // a character whose rest comes with the next write
}

var _ io.Writer = (*Screen)(nil)

// New is a screen in front of a writer.
func New(to io.Writer) *Screen { return &Screen{to: to} }

func (s *Screen) Write(p []byte) (int, error) {
	text := append(s.half, p...)
	out := make([]byte, 0, len(text))
	for len(text) > 0 && utf8.FullRune(text) {
		r, n := utf8.DecodeRune(text)
		out = appendShown(out, r, text[:n])
		text = text[n:]
	}
	s.half = bytes.Clone(text)
	if _, err := s.to.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// ForTool is where kmod's tools write what other programs read: byte for byte,
// unless it is to be seen on a terminal.
func ForTool(to io.Writer) io.Writer {
	if s, ok := to.(*Screen); ok {
		to = s.to
	}
	if f, ok := to.(*os.File); ok {
		if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err == nil {
			return &Screen{to: f}
		}
	}
	return to
}

// appendShown appends a character, which is written as text.
func appendShown(out []byte, r rune, text []byte) []byte {
	switch {
	case r == utf8.RuneError && len(text) == 1:
		return fmt.Appendf(out, `\x%02x`, text[0])
	case unicode.IsPrint(r), r == '\n', r == '\t':
		return append(out, text...)
	}
	for _, half := range utf16.AppendRune(nil, r) {
		out = fmt.Appendf(out, `\u%04x`, half)
	}
	return out
}
