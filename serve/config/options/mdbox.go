package options

import "time"

// Mdbox is what mail in mdbox obeys.
type Mdbox struct {
	PreallocateSpace bool          `set:"mdbox_preallocate_space"` // preallocate storage files
	RotateInterval   time.Duration `set:"mdbox_rotate_interval"`   // new storage file after this time
	RotateSize       uint64        `set:"mdbox_rotate_size"`       // new storage file above this size, in bytes; default 10 M
}
