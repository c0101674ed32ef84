package signature

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha3"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
)

// hashes are the hash functions that a kernel's signatures may have, by object
// identifier. Those without a function here are of no use any more.
var hashes = []struct {
	id   asn1.ObjectIdentifier
	name string
	hash crypto.Hash
}{
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, "sha256", crypto.SHA256},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, "sha384", crypto.SHA384},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, "sha512", crypto.SHA512},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 4}, "sha224", crypto.SHA224},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 8}, "sha3-256", crypto.SHA3_256},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 9}, "sha3-384", crypto.SHA3_384},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 10}, "sha3-512", crypto.SHA3_512},
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, "sha1", crypto.SHA1},
	{asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 401}, "sm3", 0},
	{asn1.ObjectIdentifier{1, 3, 36, 3, 2, 1}, "rmd160", 0},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 5}, "md5", 0},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 4}, "md4", 0},
}

func hashName(id asn1.ObjectIdentifier) string {
	for _, h := range hashes {
		if h.id.Equal(id) {
			return h.name
		}
	}
	return id.String()
}

func (s *Signature) hash() crypto.Hash {
	for _, h := range hashes {
		if h.name == s.Hash {
			return h.hash
		}
	}
	return 0
}

// The ways in which a signature is not good.
var (
	// ErrUntrusted says that none of the certificates is the signer's.
	ErrUntrusted = errors.New("signed with a key that none of the certificates is for")
	// ErrMismatch says that the file, or the signature, is not as the signer left it.
	ErrMismatch = errors.New("the signature is not that of this file")
)

// Verify finds out which of the certificates the signer's is, and whether the file,
// r as it was given to [Read], is what it signed. Other errors than [ErrUntrusted]
// and [ErrMismatch] say why that could not be found out.
func (s *Signature) Verify(r io.ReaderAt, certificates []*x509.Certificate) (*x509.Certificate, error) {
	hash := s.hash()
	switch {
	case s.Kind != PKCS7:
		return nil, fmt.Errorf("verify a signature of kind %v: only PKCS#7 can be", s.Kind)
	case s.refused != "":
		return nil, fmt.Errorf("verify the signature: no kernel accepts it, for %s: sign with the kernel's sign-file", s.refused)
	case !hash.Available():
		return nil, fmt.Errorf("verify the signature: the hash function %s is not known here", s.Hash)
	}
	h := hash.New()
	if _, err := io.Copy(h, io.NewSectionReader(r, 0, s.content)); err != nil {
		return nil, fmt.Errorf("verify the signature: %w", err)
	}
	err := ErrUntrusted
	for _, c := range certificates {
		if !s.by(c) {
			continue
		}
		if err = s.check(c, hash, h.Sum(nil)); err == nil {
			return c, nil
		}
	}
	return nil, err
}

// by says whether a certificate is that of the signer.
func (s *Signature) by(c *x509.Certificate) bool {
	if s.ByKey {
		return len(s.KeyID) > 0 && bytes.Equal(c.SubjectKeyId, s.KeyID)
	}
	return bytes.Equal(c.RawIssuer, s.issuer) && bytes.Equal(c.SerialNumber.Bytes(), s.KeyID)
}

// check holds the hash of a file to the signature.
func (s *Signature) check(c *x509.Certificate, hash crypto.Hash, sum []byte) error {
	good := false
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		good = rsa.VerifyPKCS1v15(key, hash, sum, s.Bytes) == nil
	case *ecdsa.PublicKey:
		good = ecdsa.VerifyASN1(key, sum, s.Bytes)
	default:
		return fmt.Errorf("verify the signature: keys of type %v are not known here", c.PublicKeyAlgorithm)
	}
	if !good {
		return ErrMismatch
	}
	return nil
}

// Certificates reads all X.509 certificates of a file, in PEM, or in DER one after the
// other as in the kernel's own list.
func Certificates(file []byte) (found []*x509.Certificate, err error) {
	if !bytes.Contains(file, []byte("-----BEGIN ")) {
		if found, err = x509.ParseCertificates(file); err == nil && len(found) == 0 {
			err = errors.New("it is empty")
		}
		if err != nil {
			return nil, fmt.Errorf("read certificates: neither PEM nor DER: %w", err)
		}
		return found, nil
	}
	for block, rest := pem.Decode(file); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue // such as the key, which may be beside it
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read certificates: %w", err)
		}
		found = append(found, c)
	}
	if len(found) == 0 {
		return nil, errors.New("read certificates: there are none in it")
	}
	return found, nil
}
