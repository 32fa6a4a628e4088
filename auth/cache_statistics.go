package auth

import "fmt"

// LogStatistics does what SIGUSR2 does: three lines about the cache since the last time, if there is a cache.
func (s *Service) LogStatistics() {
	c := s.cache
	if c == nil {
		return
	}
	c.mu.Lock()
	n, used := c.counts, c.size-c.left
	c.counts = counts{}
	c.mu.Unlock()
	total, share := n.hits+n.misses, uint64(100)
	if total > 0 {
		share = n.hits * 100 / total
	}
	s.log.Info(fmt.Sprintf("Authentication cache hits %d/%d (%d%%)", n.hits, total, share))
	s.log.Info(fmt.Sprintf("Authentication cache inserts: positive: %d entries %d bytes, negative: %d entries %d bytes",
		n.positive, n.positiveSize, n.negative, n.negativeSize))
	s.log.Info(fmt.Sprintf("Authentication cache current size: %d bytes used of %d bytes (%d%%)", used, c.size, used*100/c.size))
}
