import ShardTransfer
import Testing

@Suite struct PipelinePaceTests {
    @Test func aQuickTargetIsGivenMoreAndASlowOneLess() {
        var pace = PipelinePace()
        #expect(pace.steps == 1)
        for _ in 0..<20 { pace.took(.milliseconds(5)) }
        #expect(pace.steps == PipelinePace.stepsMax)
        pace.took(.seconds(5))
        #expect(pace.steps == PipelinePace.stepsMax)
        for _ in 0..<20 { pace.took(.seconds(30)) }
        #expect(pace.steps == 1)
    }
}
