import ControlAPI
import Secrets
import Testing

@Suite struct RevocationsTests {
    private func claims(_ id: String, _ name: String = "ada", at time: Double = 100) -> TokenClaims {
        TokenClaims(source: .cluster, subject: name, issuedAt: time, expiresAt: time + 600, id: id)
    }

    @Test func aRevokedTokenStaysSoUntilItWouldHaveExpired() throws {
        let one = try #require(Revocations().adding(.init(.token(id: "a"), until: 700), now: 100, lifetimeMax: 86_400))
        #expect(one.covers(claims("a")) && !one.covers(claims("b")))
        let two = try #require(one.adding(.init(.token(id: "b"), until: 800), now: 699, lifetimeMax: 86_400))
        #expect(two.covers(claims("a")) && two.covers(claims("b")))
        let three = try #require(two.adding(.init(.token(id: "c"), until: 900), now: 700, lifetimeMax: 86_400))
        #expect(three.entries.count == 2 && !three.covers(claims("a")))
    }

    @Test func allOfAUsersTokensUntilAMomentAreRevoked() throws {
        let list = try #require(Revocations().adding(.init(.user(name: "ada", until: 150), until: 9999), now: 100, lifetimeMax: 86_400))
        #expect(list.covers(claims("x", at: 150)) && !list.covers(claims("x", at: 150.001)) && !list.covers(claims("x", "bob", at: 1)))
        let later = try #require(list.adding(.init(.user(name: "ada", until: 200), until: 9999), now: 100, lifetimeMax: 86_400))
        #expect(later.covers(claims("x", at: 200)))
    }

    @Test func theTextKeepsEverything() throws {
        var list = Revocations()
        for number in 0..<20 { list = try #require(list.adding(.init(.token(id: "t\(number)\"\\é"), until: 700.25), now: 1, lifetimeMax: 86_400)) }
        list = try #require(list.adding(.init(.user(name: "ada", until: 150.125), until: 1e9), now: 1, lifetimeMax: 86_400))
        #expect(Revocations(text: list.text) == list)
        #expect(Revocations(text: nil) == Revocations())
    }

    @Test(arguments: ["", "{}", "[1]", #"[{"jti":"a"}]"#, #"[{"until":1}]"#, #"[{"sub":"a","until":1}]"#])
    func aTextThatIsNotOursIsNotTakenForAnEmptyList(text: String) { #expect(Revocations(text: text) == nil) }

    /// Or anybody with an account could fill the list, and nobody's token could be made void any more.
    @Test func whoLogsOutAgainAndAgainLosesAllTokensAndFillsNothing() throws {
        var list = Revocations()
        for number in 0..<2000 {
            let owner = Revocations.Owner(name: "eve", issuedAt: 100 + Double(number) / 1000)
            list = try #require(list.adding(.init(.token(id: "t\(number)"), until: 700, owner: owner), now: 110, lifetimeMax: 1000))
            #expect(list.covers(claims("t\(number)", "eve", at: owner.issuedAt)))
        }
        #expect(list.entries.count <= Revocations.ofOneOwnerMax + 1)
        // Every one that was made void stays so, and others' tokens are as they were.
        for number in 0..<2000 { #expect(list.covers(claims("t\(number)", "eve", at: 100 + Double(number) / 1000))) }
        #expect(!list.covers(claims("x", "ada", at: 100)) && !list.covers(claims("x", "eve", at: 110.001)))
        #expect(Revocations(text: list.text) == list)
    }

    /// The clock of who made a token may be ahead.
    @Test func aTokenOfAClockThatIsAheadStaysVoidToo() throws {
        var list = Revocations()
        for number in 0...Revocations.ofOneOwnerMax {
            let owner = Revocations.Owner(name: "eve", issuedAt: number == 3 ? 125 : 100)
            list = try #require(list.adding(.init(.token(id: "t\(number)"), until: 700, owner: owner), now: 110, lifetimeMax: 1000))
        }
        #expect(list.entries.count == 1 && list.covers(claims("t3", "eve", at: 125)))
    }

    @Test func beyondTheBoundNothingIsForgotten() throws {
        let entries = (0..<Revocations.entriesMax).map { #"{"jti":"t\#($0)","until":1000}"# }
        let full = try #require(Revocations(text: "[" + entries.joined(separator: ",") + "]"))
        #expect(full.adding(.init(.token(id: "more"), until: 1000), now: 999, lifetimeMax: 86_400) == nil)
        // What is over makes room; what is there already needs none.
        #expect(full.adding(.init(.token(id: "more"), until: 2000), now: 1000, lifetimeMax: 86_400)?.entries.count == 1)
        #expect(full.adding(.init(.token(id: "t5"), until: 2000), now: 999, lifetimeMax: 86_400)?.entries.count == Revocations.entriesMax)
    }
}
