import Secrets
import Testing

@Suite struct LoginThrottleTests {
    @Test func whoFailsOftenWaitsLongerEachTime() {
        var throttle = LoginThrottle()
        var now = 1000.0
        var waits: [Double] = []
        for _ in 0..<14 {
            throttle.failed(user: "ada", address: "a", now: now)
            let wait = throttle.wait(user: "ada", address: "a", now: now) ?? 0
            waits.append(wait)
            now += wait
            #expect(throttle.wait(user: "ada", address: "a", now: now) == nil)
        }
        #expect(waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300])
    }

    @Test func otherUsersAndOtherAddressesDoNotPay() {
        var throttle = LoginThrottle()
        for _ in 0..<10 { throttle.failed(user: "ada", address: "a", now: 0) }
        #expect(throttle.wait(user: "ada", address: "a", now: 0) != nil)
        #expect(throttle.wait(user: "bob", address: "a", now: 0) == nil && throttle.wait(user: "ada", address: "b", now: 0) == nil)
    }

    @Test func anAddressThatTriesManyUsersWaitsForAll() {
        var throttle = LoginThrottle()
        for number in 0..<20 { throttle.failed(user: "u\(number)", address: "a", now: 0) }
        #expect(throttle.wait(user: "fresh", address: "a", now: 0) != nil)
        #expect(throttle.wait(user: "fresh", address: "b", now: 0) == nil)
        throttle.succeeded(user: "u1", address: "a")
        #expect(throttle.wait(user: "fresh", address: "a", now: 0) != nil)
    }

    /// However many addresses guess at one user: it is never kept out for long.
    @Test func aUserIsNotLockedOutByOthers() {
        var throttle = LoginThrottle()
        for number in 0..<1000 { throttle.failed(user: "ada", address: "a\(number)", now: 0) }
        let wait = throttle.wait(user: "ada", address: "own", now: 0) ?? 0
        #expect(wait > 0 && wait <= 10)
    }

    /// A name that no user can have takes no memory of its own.
    @Test func namesThatAreTooLongAreOne() {
        var throttle = LoginThrottle()
        for number in 0..<5 { throttle.failed(user: String(repeating: "\(number)", count: 1 << 16), address: "a", now: 0) }
        #expect(throttle.count == 3 && throttle.wait(user: String(repeating: "é", count: 40), address: "a", now: 0) != nil)
    }

    @Test func successAndTimeForgive() {
        var throttle = LoginThrottle()
        for _ in 0..<5 { throttle.failed(user: "ada", address: "a", now: 0) }
        throttle.succeeded(user: "ada", address: "a")
        #expect(throttle.wait(user: "ada", address: "a", now: 0) == nil)
        for _ in 0..<8 { throttle.failed(user: "bob", address: "b", now: 0) }
        throttle.failed(user: "bob", address: "b", now: LoginThrottle.memory + 10)
        #expect(throttle.wait(user: "bob", address: "b", now: LoginThrottle.memory + 10) == nil)
    }

    @Test func memoryIsBoundedAndTheGuiltyStayInIt() {
        var throttle = LoginThrottle(capacity: 100)
        for number in 0..<10_000 {
            throttle.failed(user: "u\(number)", address: "a\(number)", now: Double(number) / 1000)
            throttle.failed(user: "ada", address: "evil", now: Double(number) / 1000)
            #expect(throttle.count <= 100)
        }
        #expect(throttle.wait(user: "ada", address: "evil", now: 10) != nil)
    }
}
