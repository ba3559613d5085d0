internal import Glibc

/// Blocking sockets on the loopback interface, for proxies that must not depend on whether a test's own tasks get to run.
package enum LoopbackSocket {
    /// Of a listener that takes connections to `port`; nil where that cannot be had.
    package static func listening(on port: Int) -> Int32? {
        let listener = make()
        var on: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        let bound = withAddress(port) { bind(listener, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        guard bound == 0, listen(listener, 128) == 0 else {
            close(listener)
            return nil
        }
        return listener
    }

    /// Connected to `port`; nil where nobody answers.
    package static func connected(to port: Int) -> Int32? {
        let descriptor = make()
        guard withAddress(port, { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }) == 0 else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    /// What has arrived; nil at the end of the connection.
    package static func receive(_ descriptor: Int32) -> [UInt8]? {
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        let count = chunk.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
        return count > 0 ? Array(chunk[0..<count]) : nil
    }

    /// False when the connection has ended.
    package static func send(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    private static func make() -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        return descriptor
    }

    private static func withAddress(_ port: Int, _ body: (UnsafePointer<sockaddr>) -> Int32) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0) } }
    }
}
