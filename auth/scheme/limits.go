package scheme

import "fmt"

// What a stored password may ask for at most. Each is far above what Dovecot makes by default, and takes some seconds
// on today's machines.
const (
	MaxIterations   = 10_000_000 // of a fast hash function: SHA-crypt, PBKDF2, SCRAM, $sha1$, $md5
	MaxBlowfishCost = 17         // 2^17 rounds of bcrypt
	MaxMemory       = 1 << 30    // bytes at a time: ARGON2, $7$, $y$, $gy$
	MaxMemoryWork   = 16 << 30   // bytes times passes: ARGON2, $7$
)

// CostError refuses a hash that would take too long, or too much memory.
type CostError struct {
	What           string // "rounds", "bytes of memory"
	Asked, Allowed uint64
}

func (e *CostError) Error() string {
	return fmt.Sprintf("the stored password asks for %d %s; more than %d are not allowed", e.Asked, e.What, e.Allowed)
}

func atMost(what string, asked, allowed uint64) error {
	if asked > allowed {
		return &CostError{What: what, Asked: asked, Allowed: allowed}
	}
	return nil
}
