// Package trust holds a module file and its signature to certificates. It is apart from
// package signature for those who only want to know who has signed: X.509 takes a
// program half a megabyte, and a twentieth of the time in which it starts.
//
// [Verify] does what the kernel does (verify_pkcs7_signature in
// certs/system_keyring.c): the certificates are trusted as they are, whoever has
// issued them and whether or not they have expired. Which certificates the running
// kernel trusts is for the caller to know.
package trust

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
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"github.com/kmodd/kmodd/match/kofile/signature"
)

// hashes are the hash functions that there are here, by the names that package
// signature has for them.
var hashes = map[string]crypto.Hash{
	"sha1": crypto.SHA1, "sha224": crypto.SHA224, "sha256": crypto.SHA256, "sha384": crypto.SHA384, "sha512": crypto.SHA512,
	"sha3-256": crypto.SHA3_256, "sha3-384": crypto.SHA3_384, "sha3-512": crypto.SHA3_512,
}

// The ways in which a signature is not good.
var (
	// ErrUntrusted says that none of the certificates is the signer's.
	ErrUntrusted = errors.New("signed with a key that none of the certificates is for")
	// ErrMismatch says that the file, or the signature, is not as the signer left it.
	ErrMismatch = errors.New("the signature is not that of this file")
)

// Verify finds out which of the certificates the signer's is, and whether the file,
// r as it was given to [signature.Read], is what it signed. Other errors than [ErrUntrusted]
// and [ErrMismatch] say why that could not be found out.
func Verify(s *signature.Signature, r io.ReaderAt, certificates []*x509.Certificate) (*x509.Certificate, error) {
	hash := hashes[s.Hash]
	switch {
	case s.Kind != signature.PKCS7:
		return nil, fmt.Errorf("verify a signature of kind %v: only PKCS#7 can be", s.Kind)
	case s.Refused != "":
		return nil, fmt.Errorf("verify the signature: no kernel accepts it, for %s: sign with the kernel's sign-file", s.Refused)
	case s.Key != "rsa" && s.Key != "ecdsa":
		return nil, fmt.Errorf("verify the signature: the algorithm %s is not known here", s.Key)
	case !hash.Available():
		return nil, fmt.Errorf("verify the signature: the hash function %s is not known here", s.Hash)
	}
	h := hash.New()
	if _, err := io.Copy(h, io.NewSectionReader(r, 0, s.Signed)); err != nil {
		return nil, fmt.Errorf("verify the signature: %w", err)
	}
	err := ErrUntrusted
	for _, c := range certificates {
		if !by(s, c) {
			continue
		}
		if err = check(s, c, hash, h.Sum(nil)); err == nil {
			return c, nil
		}
	}
	return nil, err
}

// by says whether a certificate is that of the signer.
func by(s *signature.Signature, c *x509.Certificate) bool {
	if s.ByKey {
		return len(s.KeyID) > 0 && bytes.Equal(c.SubjectKeyId, s.KeyID)
	}
	return bytes.Equal(c.RawIssuer, s.Issuer) && bytes.Equal(c.SerialNumber.Bytes(), s.KeyID)
}

// check holds the hash of a file to the signature.
func check(s *signature.Signature, c *x509.Certificate, hash crypto.Hash, sum []byte) error {
	good := false
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		good = s.Key == "rsa" && rsa.VerifyPKCS1v15(key, hash, sum, s.Bytes) == nil
	case *ecdsa.PublicKey:
		good = s.Key == "ecdsa" && ecdsa.VerifyASN1(key, sum, s.Bytes)
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
