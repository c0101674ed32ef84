package usage

import (
	"fmt"
	"path"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernfs"
)

// sound answers for a sound card by its streams, and for each of its nodes.
// Sound servers keep the control node open.
func sound(q *inquiry, d *device) []Finding {
	if d.hasNode {
		return nodeOf(q, d, KindSound)
	}
	card := q.proc("/asound/" + d.name())
	for _, stream := range q.streams(card) {
		var buf [4 << 10]byte
		text, err := kernfs.Readat(unix.AT_FDCWD, nul(stream+"/status"), buf[:])
		if err != nil {
			if gone(err) {
				continue
			}
			return []Finding{d.finding(KindSound, Unknown, "whether %s plays or records can't be seen: %v", d.name(), err)}
		}
		if open, owner := parseStream(text); open {
			return []Finding{d.finding(KindSound, InUse, "%s of %s is open%s", path.Base(path.Dir(stream)), d.name(), ownedBy(owner))}
		}
	}
	return []Finding{d.finding(KindSound, Idle, "no stream of %s is open", d.name())}
}

func ownedBy(pid int) string {
	if pid == 0 {
		return ""
	}
	return fmt.Sprintf(" in process %d", pid)
}

// streams lists the directories of a card's PCM streams, pcm0p/sub0 and so on. A
// kernel without /proc/asound has none; the nodes tell as much.
func (q *inquiry) streams(card string) (all []string) {
	w := newWalk(card)
	defer func() { q.walk.trouble = append(q.walk.trouble, w.trouble...) }()
	for _, pcm := range w.names("") {
		if len(pcm) < 3 || pcm[:3] != "pcm" {
			continue
		}
		for _, sub := range w.names("/" + pcm) {
			if len(sub) > 3 && sub[:3] == "sub" {
				all = append(all, card+"/"+pcm+"/"+sub)
			}
		}
	}
	return all
}
