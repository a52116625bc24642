#include "train/shard/local_address.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <unistd.h>

namespace longshot::train {
namespace {

using testing::HasSubstr;

sockaddr_in address_of(int socket) {
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  return address;
}

TEST(LocalAddress, OfAConnectionToThisHostIsItsLoopback) {
  const auto address = address_towards("127.0.0.1", 29500);
  ASSERT_TRUE(address.ok()) << address.status().to_string();
  EXPECT_EQ(*address, "127.0.0.1");
}

TEST(LocalAddress, AnUnknownHostIsAnErrorThatNamesIt) {
  const auto address = address_towards("no.such.host.invalid", 29500);
  ASSERT_FALSE(address.ok());
  EXPECT_EQ(address.status().code(), StatusCode::unavailable);
  EXPECT_THAT(address.status().message(), HasSubstr("no.such.host.invalid"));
}

TEST(LocalAddress, ListensOnTheGivenAddressOnly) {
  const auto socket = listen_on("127.0.0.1", 0);
  ASSERT_TRUE(socket.ok()) << socket.status().to_string();
  const sockaddr_in address = address_of(*socket);
  EXPECT_EQ(ntohl(address.sin_addr.s_addr), INADDR_LOOPBACK);
  const auto port = ntohs(address.sin_port);
  const auto second = listen_on("127.0.0.1", port);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.status().message(), HasSubstr(std::to_string(port)));
  ::close(*socket);
}

}  // namespace
}  // namespace longshot::train
