import PoolCore
import TestKit
import Testing

@Suite struct SharedLineTests {
    private final class Rider {}

    private func kind(_ turn: SharedLine<Rider>.Turn) -> String {
        switch turn {
        case .rider: "rider"
        case .vacant: "vacant"
        case .none: "none"
        }
    }

    @Test func ridersComeForwardInTheirOrder() {
        var line = SharedLine<Rider>(frontCost: 10)
        let riders = (0..<5).map { _ in Rider() }
        for rider in riders { line.join(rider, cost: 10) }
        for rider in riders {
            guard case .rider(let next) = line.advance() else {
                Issue.record("nobody comes")
                return
            }
            #expect(next === rider)
        }
        #expect(kind(line.advance()) == "none")
    }

    @Test func aPlaceStaysWhenItsRiderLeaves() {
        var line = SharedLine<Rider>(frontCost: 1)
        let (first, second) = (Rider(), Rider())
        line.join(first, cost: 1)
        line.join(second, cost: 1)
        line.leave(first)
        #expect(kind(line.advance()) == "vacant")
        #expect(kind(line.advance()) == "rider")
    }

    @Test func nobodyJoinsBehindOneThatOthersWereSentAwayFrom() {
        var line = SharedLine<Rider>(frontCost: 1)
        let riders = [Rider(), Rider()]
        for rider in riders { line.join(rider, cost: 1) }
        line.leave(riders[0])
        #expect(line.sendRidersAway().map(ObjectIdentifier.init) == [ObjectIdentifier(riders[1])])
        #expect(!line.hasRoom(waitMax: .max))
        #expect(line.hasRiders)
        #expect(kind(line.advance()) == "vacant")
        #expect(line.hasRoom(waitMax: .max))
        #expect(kind(line.advance()) == "vacant")
        #expect(kind(line.advance()) == "none")
    }

    /// Whatever happens in which order: a rider comes forward once, in its order, unless it left; the expected wait is the sum of what is still to come,
    /// and the number bounded.
    @Test func randomOrders() {
        withSeed { random in
            for _ in 0..<200 { randomOrder(&random) }
        }
    }

    private func randomOrder(_ random: inout SeededGenerator) {
        var model: [(rider: Rider?, cost: UInt64)] = [(Rider(), 5)]
        var line = SharedLine<Rider>(frontCost: 5)
        var stalled = false
        for _ in 0..<100 {
            switch Int.random(in: 0..<8, using: &random) {
            case 0..<4:
                #expect(line.hasRoom(waitMax: 200) == (!stalled && model.reduce(0) { $0 + $1.cost } <= 200 && model.count < 16))
                guard line.hasRoom(waitMax: 200) else { break }
                let (rider, cost) = (Rider(), UInt64.random(in: 0...40, using: &random))
                line.join(rider, cost: cost)
                model.append((rider, cost))
            case 4:
                guard let index = model.indices.dropFirst().randomElement(using: &random), let rider = model[index].rider else { break }
                line.leave(rider)
                model[index].rider = nil
            case 5 where Int.random(in: 0..<4, using: &random) == 0:
                let away = line.sendRidersAway()
                #expect(away.map(ObjectIdentifier.init) == model.dropFirst().compactMap { $0.rider.map(ObjectIdentifier.init) })
                for index in model.indices.dropFirst() { model[index].rider = nil }
                stalled = true
            default:
                guard !model.isEmpty else { break }
                model.removeFirst()
                stalled = false
                switch line.advance() {
                case .rider(let rider): #expect(rider === model.first?.rider)
                case .vacant: #expect(model.first != nil && model.first?.rider == nil)
                case .none: #expect(model.isEmpty)
                }
                if model.isEmpty {
                    line = SharedLine<Rider>(frontCost: 5)
                    model = [(Rider(), 5)]
                }
            }
            #expect(line.expectedWait == model.reduce(0) { $0 + $1.cost })
        }
    }

    @Test func aPlanIsQuickOnlyAfterQuickRuns() {
        var pace = StatementPace()
        for _ in 0..<15 { pace.record(50_000) }
        #expect(!pace.isQuick)
        pace.record(50_000)
        #expect(pace.isQuick)
        pace.record(20_000_000)
        #expect(!pace.isQuick)
        for _ in 0..<127 { pace.record(50_000) }
        #expect(!pace.isQuick)
        pace.record(50_000)
        #expect(pace.isQuick)
        pace.tookLong()
        #expect(!pace.isQuick)
    }

    @Test func theCostIsThatOfAServerWithTimeForIt() {
        var pace = StatementPace()
        for round in 0..<1000 { pace.record(round.isMultiple(of: 20) ? 40_000 : 1_000_000) }
        #expect(pace.cost >= 40_000 && pace.cost < 60_000)
    }
}
