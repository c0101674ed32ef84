package signature

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/kmodd/kmodd/match/kofile"
)

// A Kind is a form of signatures (enum pkey_id_type in
// include/linux/module_signature.h).
type Kind uint8

// The forms that there have been.
const (
	PGP  Kind = iota // never used
	X509             // before Linux 4.3
	PKCS7
)

func (k Kind) String() string { return [...]string{"PGP", "X509", "PKCS#7"}[k] }

// A Signature is what a file's end says of who has signed it. It is as the file has it,
// and proves nothing before [Signature.Verify] has.
type Signature struct {
	Kind   Kind
	Signer string // the issuer's common name, or else the last part of its name; any bytes
	// KeyID is the serial number of the signer's certificate with its issuer, or
	// where ByKey is set the identifier of its key.
	KeyID []byte
	ByKey bool
	// Hash is the name of the hash function, as in "sha256", or where it has none here
	// its object identifier, as in "1.2.3".
	Hash string
	// Key is what the signer's key must be of: "rsa", "ecdsa", or another one by the
	// object identifier of the algorithm. It is "" if it isn't a PKCS7.
	Key   string
	Bytes []byte // the encrypted or signed hash

	Signed  int64  // how many bytes of the file, from its beginning
	Issuer  []byte // its name, in DER, if the signer is named by it
	Refused string // why kernels don't accept it whoever has signed, or ""
}

// end is the struct module_signature.
const endBytes = 12

// maxSignature is the length of a signature that is read. Those with a key of 4,096 bits have
// 681 bytes, and a post-quantum one has some 5,000.
const maxSignature = 64 << 10

// Read reads the signature at the end of a module file of that size in bytes, which is
// not compressed. It is nil if there is none. The error is a [*kofile.Error].
func Read(r io.ReaderAt, size int64) (*Signature, error) {
	if !kofile.Marked(r, size) {
		return nil, nil
	}
	at := size - int64(len(kofile.Mark)) - endBytes
	end, err := part(r, at, endBytes, "what the signature is")
	if err != nil {
		return nil, err
	}
	length := int64(binary.BigEndian.Uint32(end[8:]))
	names := int64(end[3]) + int64(end[4])
	switch {
	case length == 0:
		return nil, &kofile.Error{Offset: at + 8, Says: "a signature of 0 bytes"}
	case length > maxSignature:
		return nil, &kofile.Error{Offset: at + 8, Says: fmt.Sprintf("a signature of %d bytes, and they have no more than %d", length, maxSignature)}
	case end[2] > byte(PKCS7):
		return nil, &kofile.Error{Offset: at + 2, Says: fmt.Sprintf("a signature of the unknown kind %d", end[2])}
	case end[0] > maxAlgorithm || int(end[1]) >= len(oldHashes):
		return nil, &kofile.Error{Offset: at, Says: fmt.Sprintf("a signature by the unknown algorithm %d or hash function %d", end[0], end[1])}
	case end[2] != byte(PKCS7):
		return old(r, at, end, names, length)
	}
	der, err := part(r, at-length, length, "the signature")
	if err != nil {
		return nil, err
	}
	s, err := parse(der, at-length)
	if err == nil && string(end[:8]) != "\x00\x00\x02\x00\x00\x00\x00\x00" {
		s.Refused = "what is said of it has more fields than a PKCS#7 has"
	}
	return s, err
}

// part reads a part of the file's end.
func part(r io.ReaderAt, at, length int64, what string) ([]byte, error) {
	if at < 0 {
		return nil, &kofile.Error{Says: fmt.Sprintf("%s would begin %d bytes before the file", what, -at)}
	}
	b := make([]byte, length)
	if n, err := r.ReadAt(b, at); int64(n) < length {
		return nil, &kofile.Error{Offset: at + int64(n), Says: "read " + what + ": " + err.Error(), Err: err}
	}
	return b, nil
}

// maxAlgorithm is RSA; before it is DSA (enum pkey_algo of Linux 3.7).
const maxAlgorithm = 1

// oldHashes are the numbers of hash functions in signatures that are no PKCS#7
// (enum hash_algo in include/uapi/linux/hash_info.h).
var oldHashes = [...]string{"md4", "md5", "sha1", "rmd160", "sha256", "sha384", "sha512", "sha224", "sm3"}

// old reads a signature that comes after the signer's name and the key's identifier.
func old(r io.ReaderAt, at int64, end []byte, names, length int64) (*Signature, error) {
	begin := at - length - names
	b, err := part(r, begin, names+length, "the signature")
	if err != nil {
		return nil, err
	}
	signer, key := b[:end[3]], b[end[3]:names]
	return &Signature{Kind: Kind(end[2]), Signer: string(signer), KeyID: key, ByKey: true, Hash: oldHashes[end[1]], Bytes: b[names:], Signed: begin}, nil
}
