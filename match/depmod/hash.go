package depmod

// depmod writes modules.symbols, and modules that modules.order does not list,
// in the order of its hash tables: by bucket, and within one by name.
const (
	moduleBuckets = 512
	symbolBuckets = 2048
)

// hash is Paul Hsieh's SuperFastHash (http://www.azillionmonkeys.com/qed/hash.html),
// with pairs of bytes as a little-endian machine has them.
func hash(key string) uint32 {
	pair := func(i int) uint32 { return uint32(key[i]) | uint32(key[i+1])<<8 }
	h, i := uint32(len(key)), 0
	for ; len(key)-i >= 4; i += 4 {
		h += pair(i)
		h = h<<16 ^ pair(i+2)<<11 ^ h
		h += h >> 11
	}
	switch len(key) - i {
	case 3:
		h += pair(i)
		h ^= h << 16
		h ^= uint32(int8(key[i+2])) << 18 // a char has a sign, on amd64
		h += h >> 11
	case 2:
		h += pair(i)
		h ^= h << 11
		h += h >> 17
	case 1:
		h += uint32(int8(key[i]))
		h ^= h << 10
		h += h >> 1
	}
	h ^= h << 3
	h += h >> 5
	h ^= h << 4
	h += h >> 17
	h ^= h << 25
	h += h >> 6
	return h
}
