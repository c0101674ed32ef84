package bench
import ("testing";"os";"fmt";"github.com/kmodd/kmodd/cmd/kmodlab/lab";"context")
func TestTry(t *testing.T) {
	build, err := lab.Prepare(t.Context(), os.Stderr, lab.Programs...)
	if err != nil { t.Fatal(err) }
	for _, l := range []loader{kmodd, udevd} {
		if w := os.Getenv("ONLY"); w != "" && w != l.name { continue }
		m, err := build.Boot(t.Context(), lab.Options{Busy: true})
		if err != nil { t.Fatal(err) }
		g := guest{m, l}
		if err := g.load(t.Context()); err != nil { t.Fatal(err, m.LastWords([]string{l.name})) }
		c, err := g.measure(t.Context())
		fmt.Println(l.name, c.memory, c.threads, len(c.modules), c.took, err)
		pid, _ := g.shell(context.Background(), l.pid)
		pid = pid[:len(pid)-1]
		smaps, _ := g.shell(context.Background(), "cat /proc/"+pid+"/smaps; ls -l /proc/"+pid+"/fd")
		os.WriteFile("/tmp/smaps."+l.name, []byte(smaps), 0o644)
		os.WriteFile("/tmp/log."+l.name, []byte(m.LastWords([]string{l.name})), 0o644)
		if l.name=="kmodd" { d, _ := g.shell(context.Background(), "kmodctl status; kmodctl devices; kmodctl modules"); os.WriteFile("/tmp/status.kmodd", []byte(d), 0o644)
		tar, err := g.shell(context.Background(), "cd /; find /sys/devices -name uevent | while read f; do echo \"== $f\"; cat $f; done; cat /proc/modules")
		if err != nil {fmt.Println(err)}; os.WriteFile("/tmp/uevents.txt", []byte(tar), 0o644)}
		m.Close()
	}
}
