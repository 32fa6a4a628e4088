package options

import "sync"

// Each connection reads settings of its own, and nearly all of them have the same templates as those of the one before.
var (
	translated memory[oldTemplate, Template]
	parsed     memory[Template, parsing]
)

// A configuration has some tens of templates. There may be more: those in which something of each user stands.
const (
	memorySize = 512  // templates
	memoryText = 1024 // bytes of one
)

// memory keeps what was found out about texts. Its zero value is ready, for several goroutines.
type memory[K comparable, V any] struct {
	mu    sync.RWMutex
	known map[K]V
}

// of gives what find gives for a key with a text of that many bytes.
func (m *memory[K, V]) of(key K, size int, find func(K) V) V {
	m.mu.RLock()
	v, ok := m.known[key]
	m.mu.RUnlock()
	if ok {
		return v
	}
	v = find(key)
	if size > memoryText {
		return v
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || len(m.known) >= memorySize {
		m.known = map[K]V{}
	}
	m.known[key] = v
	return v
}
