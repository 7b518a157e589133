package node

import (
	"crypto"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// A key that was retired in an emergency is no longer taken after this.
	keysMaxAge = 5 * time.Minute
	// Whoever sends tokens with made-up key ids does not make the node ask for each.
	keysCooldown = 30 * time.Second
	// Before the first keys are there.
	firstKeysCooldown = time.Second
)

// keySet has the server's public keys. oidc.NewRemoteKeySet keeps keys for ever and asks for them at every bad
// signature; this one does neither, and goes on with what it has while the server is away.
type keySet struct {
	url    string
	client *http.Client
	now    func() time.Time

	mu      sync.Mutex
	keys    map[string]crypto.PublicKey
	readAt  time.Time
	triedAt time.Time
	failure error
}

func (s *keySet) find(kid string) (crypto.PublicKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, isKnown := s.keys[kid]
	if (!isKnown || s.now().Sub(s.readAt) > keysMaxAge) && s.mayRead() {
		s.read()
		key, isKnown = s.keys[kid]
	}
	if isKnown {
		return key, nil
	}
	if s.failure != nil {
		return nil, fmt.Errorf("%w: %w", ErrAway, s.failure)
	}
	return nil, refuse("This is no VPN JWT of the issuer for this node.")
}

func (s *keySet) mayRead() bool {
	cooldown := keysCooldown
	if s.keys == nil {
		cooldown = firstKeysCooldown
	}
	return s.now().Sub(s.triedAt) > cooldown
}

func (s *keySet) read() {
	keys, err := s.fetch()
	s.triedAt, s.failure = s.now(), err
	if err == nil {
		s.keys, s.readAt = keys, s.triedAt
	}
}

func (s *keySet) fetch() (map[string]crypto.PublicKey, error) {
	answer, err := s.client.Get(s.url)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d", s.url, answer.StatusCode)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswerBytes)).Decode(&set); err != nil {
		return nil, err
	}
	keys := map[string]crypto.PublicKey{}
	for _, text := range set.Keys {
		var key jose.JSONWebKey
		// A kind of key that this library does not know is none of ours (RFC 7517 5).
		if json.Unmarshal(text, &key) == nil && key.IsPublic() && key.KeyID != "" && key.Use != "enc" {
			keys[key.KeyID] = key.Key
		}
	}
	return keys, nil
}
