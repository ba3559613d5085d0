import Foundation
import PostgresProcess
import Testing

@Suite struct LoopbackPortTests {
    @Test func aFreePortCanBeClaimedAndLiesBelowTheKernelsOwnRange() throws {
        let port = try LoopbackPort.free()
        #expect((15_000..<32_000).contains(port))
        #expect(try LoopbackPort.claim(port) == port)
        #expect(try LoopbackPort.claim(0) > 0)
    }

    @Test(arguments: [-1, 65_536]) func aNumberThatIsNoPortIsRefused(port: Int) {
        #expect(throws: PostgresProcessError.portTaken(port)) { try LoopbackPort.claim(port) }
    }
}
