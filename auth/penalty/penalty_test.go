package penalty

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"dovetail/auth"
)

var _ auth.Penalty = (*Table)(nil)

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func TestR080WaitsGrowAndEnd(t *testing.T) {
	c := &clock{time.Unix(1_700_000_000, 0)}
	p := New(c.now)
	ann, bob := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	attempt := func(password string) time.Duration {
		wait := p.Wait(ann)
		c.at = c.at.Add(wait)
		p.Failed(ann, "ann", password)
		return wait
	}
	var got []time.Duration
	for i := range 6 {
		got = append(got, attempt(fmt.Sprint(i)))
	}
	want := []time.Duration{0, 4 * time.Second, 8 * time.Second, 15 * time.Second, 15 * time.Second, 15 * time.Second}
	if !slices.Equal(got, want) {
		t.Errorf("the attempts wait %v, want %v", got, want)
	}
	if wait := p.Wait(bob); wait != 0 {
		t.Errorf("another address waits %v", wait)
	}
	c.at = c.at.Add(14 * time.Second)
	if wait := p.Wait(ann); wait != 15*time.Second {
		t.Errorf("after 14 seconds it waits %v", wait)
	}
	c.at = c.at.Add(time.Second)
	if wait := p.Wait(ann); wait != 0 {
		t.Errorf("after 15 seconds it waits %v", wait)
	}
	p.Failed(ann, "ann", "new")
	if wait := p.Wait(ann); wait != 4*time.Second {
		t.Errorf("and after another guess %v", wait)
	}
	p.Succeeded(ann)
	if wait := p.Wait(ann); wait != 0 {
		t.Errorf("after a success it waits %v", wait)
	}
}

func TestTheSamePasswordAgainAddsNothing(t *testing.T) {
	p := New(nil)
	addr := netip.MustParseAddr("2001:db8:1:2::3")
	for range 5 {
		p.Wait(addr)
		p.Failed(addr, "ann", "old")
	}
	if wait := p.Wait(addr); wait != 4*time.Second {
		t.Errorf("five times the same password: %v", wait)
	}
	p.Failed(addr, "bob", "old")
	if wait := p.Wait(addr); wait != 8*time.Second {
		t.Errorf("another user: %v", wait)
	}
	p.Failed(addr, "bob", "")
	if wait := p.Wait(addr); wait != 15*time.Second {
		t.Errorf("a password that is not known: %v", wait)
	}
}

func TestIPv6CountsBy48Bits(t *testing.T) {
	p := New(nil)
	p.Failed(netip.MustParseAddr("2001:db8:1:2::3"), "ann", "x")
	if p.Wait(netip.MustParseAddr("2001:db8:1:ffff::9")) == 0 {
		t.Error("a neighbour does not wait")
	}
	if p.Wait(netip.MustParseAddr("2001:db8:2::1")) != 0 {
		t.Error("another site waits")
	}
	p.Failed(netip.MustParseAddr("::ffff:192.0.2.1"), "ann", "x")
	if p.Wait(netip.MustParseAddr("192.0.2.1")) == 0 || p.Wait(netip.MustParseAddr("192.0.2.2")) != 0 {
		t.Error("an IPv4 address in IPv6 is not itself")
	}
	p.Failed(netip.Addr{}, "ann", "x")
	p.Succeeded(netip.Addr{})
	if p.Wait(netip.Addr{}) != 0 {
		t.Error("no address waits")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	c := &clock{time.Unix(1_700_000_000, 0)}
	p := New(c.now)
	for i := range uint32(MaxAddresses + 10) {
		p.Failed(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, i))), "ann", "x")
	}
	if n := len(slices.Collect(p.All())); n != MaxAddresses || len(p.places) != n {
		t.Errorf("%d addresses are kept", n)
	}
	if p.Wait(netip.AddrFrom4([4]byte{})) != 0 {
		t.Error("the oldest is kept")
	}
	c.at = c.at.Add(61 * time.Minute)
	p.Failed(netip.MustParseAddr("192.0.2.1"), "ann", "x")
	if n := len(slices.Collect(p.All())); n != 1 {
		t.Errorf("%d addresses are kept after an hour", n)
	}
}

func TestManyAtOnce(t *testing.T) {
	p := New(nil)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			addr := netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 5)})
			p.Wait(addr)
			p.Failed(addr, "ann", fmt.Sprint(i))
			p.Succeeded(addr)
		})
	}
	wg.Wait()
}
