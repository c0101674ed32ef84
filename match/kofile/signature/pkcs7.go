package signature

import (
	"encoding/asn1"
	"errors"
	"math/big"

	"github.com/kmodd/kmodd/match/kofile"
)

// What PKCS#7 says in ASN.1 (RFC 5652, sections 3, 5.1 and 5.3).
type (
	contentInfo struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,optional,tag:0"`
	}
	signedData struct {
		Version      int
		Hashes       []algorithm `asn1:"set"`
		Content      contentInfo
		Certificates []asn1.RawValue `asn1:"optional,set,tag:0"`
		Revoked      []asn1.RawValue `asn1:"optional,set,tag:1"`
		Signers      []signerInfo    `asn1:"set"`
	}
	signerInfo struct {
		Version    int
		ID         asn1.RawValue // an issuerAndSerial, or a key's identifier with tag 0
		Hash       algorithm
		Attributes []asn1.RawValue `asn1:"optional,set,tag:0"`
		Algorithm  algorithm
		Signature  []byte
		Unsigned   []asn1.RawValue `asn1:"optional,set,tag:1"`
	}
	issuerAndSerial struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
	// An algorithm is an AlgorithmIdentifier (RFC 5280, section 4.1.1.2).
	algorithm struct {
		Algorithm  asn1.ObjectIdentifier
		Parameters asn1.RawValue `asn1:"optional"`
	}
	// A partSET is a SET by its name, for encoding/asn1.
	partSET []struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
)

var (
	data       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	dataSigned = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	commonName = asn1.ObjectIdentifier{2, 5, 4, 3}
)

// named are algorithms that have a name here.
type named []struct {
	ID   asn1.ObjectIdentifier
	Name string
}

// of is the name of an algorithm, or the identifier of one that has none.
func (all named) of(id asn1.ObjectIdentifier) string {
	for _, a := range all {
		if a.ID.Equal(id) {
			return a.Name
		}
	}
	return id.String()
}

// hashes are the hash functions that a kernel's signatures may have, by object
// identifier.
var hashes = named{
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, "sha256"},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, "sha384"},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, "sha512"},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 4}, "sha224"},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 8}, "sha3-256"},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 9}, "sha3-384"},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 10}, "sha3-512"},
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, "sha1"},
	{asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 401}, "sm3"},
	{asn1.ObjectIdentifier{1, 3, 36, 3, 2, 1}, "rmd160"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 5}, "md5"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 4}, "md4"},
}

// keys are what signatures are made with (pkcs7_sig_note_pkey_algo in
// crypto/asymmetric_keys/pkcs7_parser.c).
var keys = named{
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, "rsa"},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}, "ecdsa"},    // with SHA-1
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 1}, "ecdsa"}, // with SHA-2
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}, "ecdsa"},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}, "ecdsa"},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}, "ecdsa"},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 10}, "ecdsa"}, // with SHA-3
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 11}, "ecdsa"},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 12}, "ecdsa"},
}

// parse reads a PKCS#7 that is appended at a place in the file. It is over all before that.
func parse(der []byte, at int64) (*Signature, error) {
	signer, err := firstSigner(der)
	if err == nil {
		s := &Signature{Kind: PKCS7, Hash: hashes.of(signer.Hash.Algorithm), Key: keys.of(signer.Algorithm.Algorithm), Bytes: signer.Signature, Signed: at}
		if len(signer.Attributes) > 0 {
			s.Refused = "it is over attributes"
		}
		if err = s.identify(signer.ID); err == nil {
			return s, nil
		}
	}
	return nil, &kofile.Error{Offset: at, Says: "the signature is no PKCS#7 as kernels have it: " + err.Error()}
}

func firstSigner(der []byte) (*signerInfo, error) {
	var outer contentInfo
	if err := whole(der, &outer); err != nil {
		return nil, err
	}
	if !outer.Type.Equal(dataSigned) {
		return nil, errors.New("it is no signed data")
	}
	var signed signedData
	if err := whole(outer.Content.Bytes, &signed); err != nil {
		return nil, err
	}
	switch {
	case !signed.Content.Type.Equal(data):
		return nil, errors.New("what is signed is not data")
	case len(signed.Content.Content.FullBytes) > 0:
		return nil, errors.New("it has content of its own")
	case len(signed.Signers) == 0:
		return nil, errors.New("nobody has signed")
	}
	return &signed.Signers[0], nil
}

// whole parses DER with nothing after it.
func whole(der []byte, into any) error {
	rest, err := asn1.Unmarshal(der, into)
	if err == nil && len(rest) > 0 {
		err = asn1.SyntaxError{Msg: "bytes after its end"}
	}
	return err
}

// identify reads who the signer is.
func (s *Signature) identify(id asn1.RawValue) error {
	if id.Class == asn1.ClassContextSpecific && id.Tag == 0 {
		s.KeyID, s.ByKey = id.Bytes, true
		return nil
	}
	var by issuerAndSerial
	if err := whole(id.FullBytes, &by); err != nil {
		return err
	}
	s.Issuer, s.KeyID = by.Issuer.FullBytes, by.Serial.Bytes()
	var name []partSET
	if err := whole(by.Issuer.FullBytes, &name); err != nil {
		return err
	}
	for _, parts := range name {
		for _, part := range parts {
			s.Signer = string(part.Value.Bytes)
			if part.Type.Equal(commonName) {
				return nil
			}
		}
	}
	return nil
}
