package signature_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mikelolasagasti/xz"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/match/kofile"
	"github.com/kmodd/kmodd/match/kofile/kofiletest"
	"github.com/kmodd/kmodd/match/kofile/signature"
	"github.com/kmodd/kmodd/match/kofile/signature/trust"
)

var module = kofiletest.Module{Code: 5000, Info: []string{"license=GPL"}}.Bytes()

// A signer has a key and a certificate that it has made for itself.
type signer struct {
	key         crypto.Signer
	certificate *x509.Certificate
}

func newSigner(t testing.TB, serial int64, name pkix.Name, key crypto.Signer, err error) signer {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	// Long expired, which does not matter to kernels: see doc.go.
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: name, SubjectKeyId: []byte{0xab, byte(serial)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return signer{key, c}
}

func newRSA(t testing.TB, serial int64) signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	return newSigner(t, serial, pkix.Name{Organization: []string{"Board makers"}, CommonName: "Signing key"}, key, err)
}

func newECDSA(t testing.TB, serial int64) signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return newSigner(t, serial, pkix.Name{Organization: []string{"Board makers"}}, key, err)
}

var hashes = map[string]crypto.Hash{
	"sha1": crypto.SHA1, "sha256": crypto.SHA256, "sha384": crypto.SHA384, "sha3-512": crypto.SHA3_512,
}

// How a signature is made, other than by default.
type how struct {
	byKey, attributes bool
	change            func(*signature.SignedData)
	hash              string // "" for sha256
}

// sign makes a PKCS#7 over the content.
func (s signer) sign(t testing.TB, content []byte, how how) []byte {
	t.Helper()
	if how.hash == "" {
		how.hash = "sha256"
	}
	info := signature.SignerInfo{Version: 1, ID: asn1.RawValue{FullBytes: s.id(t, how.byKey)}}
	for _, h := range signature.Hashes {
		if h.Name == how.hash {
			info.Hash.Algorithm = h.ID
		}
	}
	if hash, ok := hashes[how.hash]; ok {
		info.Signature = s.signature(t, content, hash)
	}
	if how.attributes {
		info.Attributes = []asn1.RawValue{{FullBytes: encode(t, []int{1})}}
	}
	info.Algorithm.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	if _, ok := s.key.(*ecdsa.PrivateKey); ok {
		info.Algorithm.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	}
	signed := signature.SignedData{Version: 1, Hashes: []signature.Algorithm{info.Hash}, Content: signature.ContentInfo{Type: signature.Data}, Signers: []signature.SignerInfo{info}}
	if how.change != nil {
		how.change(&signed)
	}
	return encode(t, signature.ContentInfo{signature.DataSigned, asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: encode(t, signed)}})
}

func (s signer) signature(t testing.TB, content []byte, hash crypto.Hash) []byte {
	h := hash.New()
	h.Write(content)
	b, err := s.key.Sign(rand.Reader, h.Sum(nil), hash)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (s signer) id(t testing.TB, byKey bool) []byte {
	if byKey {
		return encode(t, asn1.RawValue{Class: asn1.ClassContextSpecific, Bytes: s.certificate.SubjectKeyId})
	}
	return encode(t, signature.IssuerAndSerial{asn1.RawValue{FullBytes: s.certificate.RawIssuer}, s.certificate.SerialNumber})
}

func encode(t testing.TB, value any) []byte {
	t.Helper()
	der, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// appended is the module with a signature.
func appended(der []byte) []byte { return appendedAs("\x00\x00\x02\x00\x00\x00\x00\x00", "", der) }

// appendedAs is the module with a signature after the names that are said to be there.
func appendedAs(says, names string, der []byte) []byte {
	n := len(der)
	length := []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	return bytes.Join([][]byte{module, []byte(names), der, []byte(says), length, []byte(kofile.Mark)}, nil)
}

func readBytes(file []byte) (*signature.Signature, error) {
	return signature.Read(bytes.NewReader(file), int64(len(file)))
}

func TestWhatIsNoSignatureIsRefusedWithThePlace(t *testing.T) {
	s := newECDSA(t, 7)
	good := s.sign(t, module, how{})
	changed := func(change func(*signature.SignedData)) []byte {
		return appended(s.sign(t, module, how{change: change}))
	}
	tests := []struct {
		name string
		file []byte
		want string
	}{
		{"the mark alone", []byte(kofile.Mark), "what the signature is would begin 12 bytes before the file (at byte 0)"},
		{"the module, and the mark", append(bytes.Clone(module), kofile.Mark...), "a signature of 0 bytes (at byte "},
		{"an unknown kind", appendedAs("\x00\x00\x03\x00\x00\x00\x00\x00", "", good), "a signature of the unknown kind 3 (at byte "},
		{"more than a file can have", []byte("\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x10\x00" + kofile.Mark), "the signature would begin 4096 bytes before the file"},
		{"more than any signature has", []byte("\x00\x00\x02\x00\x00\x00\x00\x00\x7f\x00\x10\x00" + kofile.Mark), "a signature of 2130710528 bytes, and they have no more than 65536 (at byte 8)"},
		{"nothing", appended(nil), "a signature of 0 bytes (at byte "},
		{"nothing but zeros", appended([]byte{0}), "the signature is no PKCS#7 as kernels have it: asn1: syntax error: truncated tag or length (at byte 5"},
		{"half of it", appended(good[:len(good)/2]), "the signature is no PKCS#7 as kernels have it: asn1: syntax error: data truncated (at byte 5"},
		{"more than it", appended(append(bytes.Clone(good), 0)), "the signature is no PKCS#7 as kernels have it: asn1: syntax error: bytes after its end (at byte 5"},
		{"not signed data", appended(encode(t, signature.ContentInfo{Type: signature.Data})), "it is no signed data"},
		{"other content", changed(func(d *signature.SignedData) { d.Content.Type = signature.DataSigned }), "what is signed is not data"},
		{"content of its own", changed(func(d *signature.SignedData) {
			d.Content.Content = asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: []byte{5, 0}}
		}), "it has content of its own"},
		{"nobody's", changed(func(d *signature.SignedData) { d.Signers = nil }), "nobody has signed"},
		{"somebody's without a name", changed(func(d *signature.SignedData) { d.Signers[0].ID = asn1.RawValue{FullBytes: []byte{5, 0}} }), "the signature is no PKCS#7"},
		{"an old one without its hash", appendedAs("\x01\x63\x01\x00\x00\x00\x00\x00", "", good), "a signature by the unknown algorithm 1 or hash function 99 (at byte "},
		{"an old one that is too long", []byte("\x01\x04\x01\xff\xff\x00\x00\x00\x00\x00\x00\x01" + kofile.Mark), "the signature would begin 511 bytes before the file (at byte 0)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := readBytes(tt.file)
			var place *kofile.Error
			if !errors.As(err, &place) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestAReadThatFailsIsNoMissingSignature(t *testing.T) {
	file := appended(newECDSA(t, 7).sign(t, module, how{}))
	for _, from := range []int{len(file) - 30, len(module) + 10} {
		if _, err := signature.Read(failing{file, int64(from)}, int64(len(file))); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("from byte %d: %v", from, err)
		}
	}
}

// failing fails where it is asked for a byte in the 28 before the mark.
type failing struct {
	file []byte
	at   int64
}

func (f failing) ReadAt(b []byte, at int64) (int, error) {
	if at <= f.at && f.at < at+int64(len(b)) {
		return 0, fs.ErrPermission
	}
	return bytes.NewReader(f.file).ReadAt(b, at)
}

func TestUnsignedModulesHaveNone(t *testing.T) {
	for _, file := range [][]byte{module, nil} {
		if s, err := readBytes(file); s != nil || err != nil {
			t.Errorf("%+v, %v", s, err)
		}
	}
}

func TestWhoHasSigned(t *testing.T) {
	one, other := newRSA(t, 0x1234), newECDSA(t, 9)
	tests := []struct {
		name           string
		file           []byte
		signer, id     string
		byKey          bool
		hash           string
		wrong, without string // what Verify says of the other's certificate, and of the own
	}{
		{"a name and a serial number", appended(one.sign(t, module, how{})), "Signing key", "1234", false, "sha256", trust.ErrUntrusted.Error(), ""},
		{"a key's identifier", appended(one.sign(t, module, how{byKey: true})), "", "ab34", true, "sha256", trust.ErrUntrusted.Error(), ""},
		{"a name without a common name", appended(other.sign(t, module, how{hash: "sha384"})), "Board makers", "09", false, "sha384", trust.ErrUntrusted.Error(), ""},
		{"SHA-3", appended(one.sign(t, module, how{hash: "sha3-512"})), "Signing key", "1234", false, "sha3-512", trust.ErrUntrusted.Error(), ""},
		{"SHA-1", appended(one.sign(t, module, how{hash: "sha1"})), "Signing key", "1234", false, "sha1", trust.ErrUntrusted.Error(), ""},
		{"another file's", appended(one.sign(t, module[1:], how{})), "Signing key", "1234", false, "sha256", trust.ErrUntrusted.Error(), trust.ErrMismatch.Error()},
		{"a hash without a function here", appended(one.sign(t, module, how{hash: "sm3"})), "Signing key", "1234", false, "sm3", "", "the hash function sm3 is not known here"},
		{"an algorithm that kernels don't know", appended(one.sign(t, module, how{change: algorithm(1, 2, 840, 113549, 1, 1, 11)})), "Signing key", "1234", false, "sha256", "", "the algorithm 1.2.840.113549.1.1.11 is not known here"},
		{"the algorithm of another kind of key", appended(one.sign(t, module, how{change: algorithm(1, 2, 840, 10045, 4, 3, 2)})), "Signing key", "1234", false, "sha256", "", trust.ErrMismatch.Error()},
		{"over attributes", appended(one.sign(t, module, how{attributes: true})), "Signing key", "1234", false, "sha256", "", "it is over attributes"},
		{"names that no PKCS#7 has", appendedAs("\x00\x00\x02\x01\x00\x00\x00\x00", "", one.sign(t, module, how{})), "Signing key", "1234", false, "sha256", "", "more fields than a PKCS#7 has"},
		{"an old one", appendedAs("\x01\x04\x01\x03\x02\x00\x00\x00", "Sam\x01\x02", []byte{1}), "Sam", "0102", true, "sha256", "", "only PKCS#7 can be"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := readBytes(tt.file)
			if err != nil {
				t.Fatal(err)
			}
			if s.Signer != tt.signer || hex.EncodeToString(s.KeyID) != tt.id || s.ByKey != tt.byKey || s.Hash != tt.hash {
				t.Errorf("%+v", s)
			}
			all := []*x509.Certificate{one.certificate, other.certificate}
			verify(t, s, tt.file, all, tt.without)
			if tt.wrong != "" {
				verify(t, s, tt.file, []*x509.Certificate{newRSA(t, 77).certificate}, tt.wrong)
			}
		})
	}
}

// algorithm has a signature say that it was made by another one.
func algorithm(id ...int) func(*signature.SignedData) {
	return func(d *signature.SignedData) { d.Signers[0].Algorithm.Algorithm = id }
}

// verify wants what Verify says; nothing is that the file is good.
func verify(t *testing.T, s *signature.Signature, file []byte, certificates []*x509.Certificate, want string) {
	t.Helper()
	c, err := trust.Verify(s, bytes.NewReader(file), certificates)
	switch {
	case want == "" && (err != nil || c == nil):
		t.Errorf("%v, want it to be good", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got %v\nwant %s", err, want)
	}
}

// Two certificates may have one name and number.
func TestACertificateWithTheSameNameIsNotEnough(t *testing.T) {
	good, bad := newRSA(t, 5), newRSA(t, 5)
	file := appended(good.sign(t, module, how{}))
	s, err := readBytes(file)
	if err != nil {
		t.Fatal(err)
	}
	verify(t, s, file, []*x509.Certificate{bad.certificate}, trust.ErrMismatch.Error())
	verify(t, s, file, []*x509.Certificate{bad.certificate, good.certificate}, "")
}

func TestOneChangedByteIsNoticed(t *testing.T) {
	signer := newECDSA(t, 3)
	file := appended(signer.sign(t, module, how{}))
	s, err := readBytes(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, 100, len(module) - 1} {
		changed := bytes.Clone(file)
		changed[at] ^= 1
		verify(t, s, changed, []*x509.Certificate{signer.certificate}, trust.ErrMismatch.Error())
	}
	_, err = trust.Verify(s, failing{file, 4000}, []*x509.Certificate{signer.certificate})
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a read that fails: %v", err)
	}
}

func TestCertificates(t *testing.T) {
	one, two := newECDSA(t, 1).certificate.Raw, newECDSA(t, 2).certificate.Raw
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}})
	inPEM := func(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}) }
	tests := []struct {
		name string
		file []byte
		want int
		err  string
	}{
		{"nothing", nil, 0, "read certificates: neither PEM nor DER: it is empty"},
		{"text", []byte("hello"), 0, "read certificates: neither PEM nor DER: "},
		{"half of DER", one[:50], 0, "read certificates: neither PEM nor DER: "},
		{"a key", key, 0, "read certificates: there are none in it"},
		{"half of PEM", inPEM(one[:50]), 0, "read certificates: "},
		{"DER", one, 1, ""},
		{"two in DER", append(bytes.Clone(one), two...), 2, ""},
		{"PEM", inPEM(one), 1, ""},
		{"a key and two in PEM", bytes.Join([][]byte{key, inPEM(one), inPEM(two)}, nil), 2, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found, err := trust.Certificates(tt.file)
			if len(found) != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.HasPrefix(err.Error(), tt.err) {
				t.Errorf("%d certificates, %v", len(found), err)
			}
		})
	}
}

// The kernel's own program signs, for each kind of key and of name.
func TestWhatSignFileSignsIsGood(t *testing.T) {
	kernel, err := debian.LoadKernel(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	headers, err := debian.LoadHeaders(t.Context(), os.Stderr, kernel)
	if err != nil {
		t.Fatal(err)
	}
	programs, err := filepath.Glob(filepath.Join(headers, "../../lib/linux-kbuild-*/scripts/sign-file"))
	if err != nil || len(programs) != 1 {
		t.Fatalf("sign-file: %q, %v", programs, err)
	}
	for name, signer := range map[string]signer{"rsa": newRSA(t, 1<<40), "ecdsa": newECDSA(t, 5)} {
		for _, options := range [][]string{{"sha256"}, {"sha512"}, {"-k", "sha384"}} {
			file := signedBy(t, programs[0], signer, options)
			s, err := readBytes(file)
			if err != nil {
				t.Fatalf("%s %s: %v", name, options, err)
			}
			verify(t, s, file, []*x509.Certificate{signer.certificate}, "")
			file[99] ^= 1
			verify(t, s, file, []*x509.Certificate{signer.certificate}, trust.ErrMismatch.Error())
		}
	}
}

// signedBy is the module as sign-file has signed it.
func signedBy(t *testing.T, program string, s signer, options []string) []byte {
	t.Helper()
	dir := t.TempDir()
	key, err := x509.MarshalPKCS8PrivateKey(s.key)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"key.pem":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		"cert.der": s.certificate.Raw,
		"m.ko":     module,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), program, append(options, "key.pem", "cert.der", "m.ko")...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	file, err := os.ReadFile(filepath.Join(dir, "m.ko"))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// Debian's modules are signed with a key that was made for one build of the kernel, and
// whose certificate is in it.
func TestDebiansModulesAreSignedByTheirKernel(t *testing.T) {
	kernel, err := debian.LoadKernel(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	trusted := []*x509.Certificate{builtInCertificate(t, filepath.Join(kernel.Root, "boot/vmlinuz-"+kernel.Version))}
	files, err := filepath.Glob(filepath.Join(kernel.Root, "lib/modules", kernel.Version, "kernel/fs/*/*.ko"))
	if err != nil || len(files) < 50 {
		t.Fatalf("%d modules, %v", len(files), err)
	}
	for _, name := range files {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := readBytes(file)
		if err != nil || s == nil {
			t.Fatalf("%s: %v", name, err)
		}
		verify(t, s, file, trusted, "")
		file[len(file)/2] ^= 1
		verify(t, s, file, trusted, trust.ErrMismatch.Error())
	}
}

// builtInCertificate is the first one in a kernel that is named as those of builds are.
func builtInCertificate(t *testing.T, vmlinuz string) *x509.Certificate {
	t.Helper()
	packed, err := os.ReadFile(vmlinuz)
	if err != nil {
		t.Fatal(err)
	}
	begin := bytes.Index(packed, []byte("\xfd7zXZ\x00"))
	if begin < 0 {
		t.Fatalf("nothing in %s is packed by xz", vmlinuz)
	}
	r, err := xz.NewReader(bytes.NewReader(packed[begin:]), 0)
	if err != nil {
		t.Fatal(err)
	}
	image, _ := io.ReadAll(r) // what comes after the packed kernel is no xz
	name := bytes.Index(image, []byte("Build time autogenerated kernel key"))
	for at := name; at > 0 && at > name-400; at-- {
		if image[at] != 0x30 || image[at+1] != 0x82 {
			continue
		}
		length := 4 + int(image[at+2])<<8 + int(image[at+3])
		if c, err := x509.ParseCertificate(image[at : at+length]); err == nil {
			return c
		}
	}
	t.Fatalf("no certificate in %s, which unpacks to %d bytes", vmlinuz, len(image))
	return nil
}

func FuzzRead(f *testing.F) {
	s, namesake := newECDSA(f, 7), newECDSA(f, 7)
	f.Add(appended(s.sign(f, module, how{}))[len(module)-10:])
	f.Add(appended(s.sign(f, module, how{byKey: true, attributes: true}))[len(module)-10:])
	f.Add(appendedAs("\x01\x04\x01\x03\x02\x00\x00\x00", "Sam\x01\x02", []byte{1})[len(module):])
	f.Fuzz(func(t *testing.T, b []byte) {
		file := append(b, kofile.Mark...)
		s, err := readBytes(file)
		if err != nil || s == nil {
			return
		}
		if _, err := trust.Verify(s, bytes.NewReader(file), []*x509.Certificate{namesake.certificate}); err == nil {
			t.Error("good, by somebody who has not signed")
		}
	})
}

var _ io.ReaderAt = failing{}
