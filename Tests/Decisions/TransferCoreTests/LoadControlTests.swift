import TestKit
import Testing
import TransferCore

@Suite struct LoadControlTests {
    private static func settings(max: Int? = nil, min: Int = 4 << 20) -> LoadControl.Settings {
        var settings = LoadControl.Settings()
        (settings.bytesPerSecondMin, settings.bytesPerSecondMax) = (min, max)
        return settings
    }

    private func learned(_ commit: Duration = .milliseconds(10), _ settings: LoadControl.Settings = settings()) -> LoadControl {
        var control = LoadControl(settings)
        for _ in 0..<LoadControl.window { control.learn(commit) }
        return control
    }

    private func window(_ control: inout LoadControl, _ commit: Duration, rate: Int = 100 << 20) {
        for _ in 0..<LoadControl.window { control.observe(commit, rate: control.bytesPerSecond.map { min($0, rate) } ?? rate) }
    }

    /// Has risen until nothing holds it.
    private func unlimited(_ commit: Duration = .milliseconds(10)) -> LoadControl {
        var control = learned(commit)
        for _ in 0..<6 { window(&control, .microseconds(100)) }
        return control
    }

    /// A copy makes commits slow that nobody but itself waits for.
    @Test func whereNobodyElseIsNothingIsTooSlow() {
        var control = learned()
        window(&control, .seconds(1))
        let slow = control.bytesPerSecond
        for _ in 0..<LoadControl.window { control.observe(.seconds(1), rate: 1 << 20, isAlone: true) }
        #expect(control.bytesPerSecond == slow.map { $0 * 2 } && control.recent == .seconds(1))
        for _ in 0..<10 * LoadControl.window { control.observe(.seconds(1), rate: 1 << 20, isAlone: true) }
        #expect(control.bytesPerSecond == nil)
        // Somebody comes.
        window(&control, .seconds(1))
        #expect(control.bytesPerSecond != nil)
    }

    /// What was too fast is known from the first slow window on: then there are small steps only.
    @Test func theFirstSlowWindowEndsTheRise() {
        var control = learned()
        for _ in 0..<2 { window(&control, .milliseconds(1)) }
        #expect(control.bytesPerSecond == 64 << 20)
        window(&control, .milliseconds(16))
        #expect(control.bytesPerSecond == 32 << 20)
        window(&control, .milliseconds(1))
        #expect(control.bytesPerSecond == 36 << 20)
    }

    @Test func aSourceThatStaysQuickSetsNoLimit() {
        var control = learned()
        #expect(control.usual == .milliseconds(10) && control.allowed == .milliseconds(15))
        var rates: [Int] = []
        while let rate = control.bytesPerSecond, rates.count < 100 {
            rates.append(rate >> 20)
            window(&control, .milliseconds(15))
        }
        #expect(rates == [16, 32, 64, 128, 256, 512])
        for _ in 0..<100 { window(&control, .milliseconds(15)) }
        #expect(control.bytesPerSecond == nil && control.recent == .milliseconds(15))
    }

    @Test func aSlowWindowHalvesTheRateDownToTheFloor() {
        var control = unlimited()
        var rates: [Int] = []
        for _ in 0..<8 {
            window(&control, .milliseconds(16))
            rates.append((control.bytesPerSecond ?? 0) >> 20)
        }
        #expect(rates == [50, 25, 12, 6, 4, 4, 4, 4])
    }

    @Test func aQuickSourceIsReadFasterStepByStepUntilThereIsNoLimit() {
        var control = unlimited()
        for _ in 0..<8 { window(&control, .seconds(1)) }
        var last = control.bytesPerSecond ?? 0
        var windows = 0
        while let rate = control.bytesPerSecond, windows < 100 {
            #expect(rate >= last && rate - last <= max((100 << 20) / 16, last / 8))
            last = rate
            window(&control, .milliseconds(1))
            windows += 1
        }
        #expect(control.bytesPerSecond == nil && windows > 16)
    }

    @Test func oneSlowCommitOfAWindowIsNobodysFault() {
        var control = learned()
        for _ in 0..<50 {
            control.observe(.seconds(3), rate: 1)
            for _ in 1..<LoadControl.window { control.observe(.milliseconds(9), rate: 1) }
        }
        #expect(control.bytesPerSecond == nil)
        for commit in [Duration.seconds(3), .seconds(3)] + Array(repeating: .milliseconds(9), count: LoadControl.window - 2) { control.observe(commit, rate: 100 << 20) }
        #expect(control.bytesPerSecond == 50 << 20)
    }

    @Test func commitsThatAreQuickAreNeverTooSlow() {
        var control = unlimited(.microseconds(200))
        window(&control, .milliseconds(2))
        #expect(control.bytesPerSecond == nil)
        window(&control, .milliseconds(3))
        #expect(control.bytesPerSecond != nil)
    }

    @Test func theSettingsMaximumIsKept() {
        var control = learned(.milliseconds(10), Self.settings(max: 40 << 20))
        #expect(control.bytesPerSecond == 16 << 20)
        for _ in 0..<2 { window(&control, .milliseconds(1)) }
        #expect(control.bytesPerSecond == 40 << 20)
        window(&control, .milliseconds(100))
        #expect(control.bytesPerSecond == 20 << 20)
        for _ in 0..<100 {
            window(&control, .milliseconds(1))
            #expect((control.bytesPerSecond ?? .max) <= 40 << 20)
        }
        #expect(control.bytesPerSecond == 40 << 20)
    }

    @Test func withoutALimitByLoadOrBeforeItIsKnownNothingChanges() {
        var settings = Self.settings(max: 1 << 20)
        settings.slowdownPercentMax = nil
        var off = learned(.milliseconds(1), settings)
        window(&off, .seconds(10))
        var unknown = LoadControl(Self.settings())
        window(&unknown, .seconds(10))
        #expect(off.bytesPerSecond == 1 << 20 && unknown.bytesPerSecond == nil)
    }

    /// A server whose commits take longer, the more is read from it beyond what it has to spare; now and then its own load grows.
    @Test func aSimulatedServerIsReadAboutAsFastAsItCanSpare() {
        withSeed { random in
            let spare = Double.random(in: 20...200, using: &random) * 1_048_576
            var control = learned(.milliseconds(10))
            var (slow, rates) = (0, [Double]())
            for round in 0..<400 {
                let rate = Double(min(control.bytesPerSecond ?? .max, 1000 << 20))
                let commit = 10 * max(1, rate / spare * 1.4) * Double.random(in: 0.9...1.05, using: &random)
                for _ in 0..<LoadControl.window { control.observe(.microseconds(Int(commit * 1000)), rate: Int(rate)) }
                guard round >= 50 else { continue }
                rates.append(rate)
                if commit > 15 { slow += 1 }
            }
            let mean = rates.reduce(0, +) / Double(rates.count)
            #expect(mean > spare / 4 && mean < spare * 1.5, "\(mean / 1_048_576) of \(spare / 1_048_576) MiB/s")
            #expect(slow < rates.count / 2, "\(slow) of \(rates.count) windows were too slow")
        }
    }
}
