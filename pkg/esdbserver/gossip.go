package esdbserver

import (
	"context"
	"net"
	"net/netip"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc/peer"
)

// gossipService is the service event_store.client.gossip.Gossip: who belongs to the cluster. This server is alone in it.
type gossipService struct {
	gossip.UnimplementedGossipServer
	server *Server
}

// Read answers with this server as the leader, at the address under which the caller reached it.
func (g gossipService) Read(ctx context.Context, _ *shared.Empty) (*gossip.ClusterInfo, error) {
	var local net.Addr
	if p, ok := peer.FromContext(ctx); ok {
		local = p.LocalAddr
	}
	at := advertised(local)
	return &gossip.ClusterInfo{Members: []*gossip.MemberInfo{{
		InstanceId:   encodeUUID(g.server.id, false),
		TimeStamp:    g.server.ticks(),
		State:        gossip.MemberInfo_Leader,
		IsAlive:      true,
		HttpEndPoint: &gossip.EndPoint{Address: at.Addr().String(), Port: uint32(at.Port())},
	}}}, nil
}

// ticks is the server's time in units of 100 ns since the Unix epoch.
func (s *Server) ticks() int64 { return s.config.Now().UnixNano() / 100 }

// advertised is the address that clients on this machine reach addr at: a server that listens on every interface is
// reached on the loopback one.
func advertised(addr net.Addr) netip.AddrPort {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
	}
	at := tcp.AddrPort()
	ip := at.Addr().Unmap()
	if ip.IsUnspecified() {
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.AddrPortFrom(ip, at.Port())
}
