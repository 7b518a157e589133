package main

import (
	"context"
	"sync"

	"portcullis-go-node/node"
)

// From this level on a person is staff.
const staffLevel = 50

// User is the node's own of a person.
type User struct {
	Username string `json:"username"`
	Email    string `json:"email"`
	Role     string `json:"role"`
	Level    int    `json:"level"`
	IsStaff  bool   `json:"is_staff"`
}

// The same name at another issuer is somebody else.
type person struct{ issuer, username string }

// Users are in memory here; a node of yours has a table with that key.
type Users struct {
	mu    sync.Mutex
	users map[person]User
}

// Sync makes the user when the person first comes, and makes it agree with the claims each time.
func (u *Users) Sync(_ context.Context, caller node.Caller) (User, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	user := User{caller.Username, caller.Email, caller.Role, caller.Level, caller.Level >= staffLevel}
	u.users[person{caller.Issuer, caller.Username}] = user
	return user, nil
}
