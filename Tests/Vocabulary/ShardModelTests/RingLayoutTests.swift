import ShardModel
import Testing

@Suite struct RingLayoutTests {
    let a = ShardID("a"), b = ShardID("b"), c = ShardID("c")

    @Test func aCutChangesNoOwner() throws {
        let layout = try RingLayout.even(over: [a, b], vnodesEach: 2)
        let cut = try layout.applying([.cut(vnode: 3, border: Token(UInt64(1) << 63 + 5), low: 5, high: 6)])
        #expect(cut.owner(ofVNode: 3) == nil)
        #expect(cut.owner(ofVNode: 5) == b)
        #expect(cut.owner(ofVNode: 6) == b)
        #expect(cut.load(of: b) == layout.load(of: b))
        #expect(try RingLayout(cut.vnodes) == cut)
    }

    @Test func aMoveTakesTheNamedVNodesAndNoOther() throws {
        let layout = try RingLayout.even(over: [a, b], vnodesEach: 4).applying([.move(vnodes: [2, 4], from: a, to: b)])
        #expect(layout.vnodes[a]!.map(\.id) == [1, 3])
        #expect(layout.vnodes[b]!.map(\.id) == [2, 4, 5, 6, 7, 8])
    }

    static let refused: [(RingStep, RingError)] = [
        (.cut(vnode: 9, border: Token(7), low: 10, high: 11), .unknownVNode(9)),
        (.cut(vnode: 1, border: Token(0), low: 10, high: 11), .cannotCut(vnode: 1)),
        (.cut(vnode: 1, border: Token(.max), low: 10, high: 11), .cannotCut(vnode: 1)),
        (.cut(vnode: 1, border: Token(7), low: 10, high: 10), .duplicateVNode(10)),
        (.cut(vnode: 1, border: Token(7), low: 2, high: 11), .duplicateVNode(2)),
        (.cut(vnode: 1, border: Token(7), low: 10, high: 2), .duplicateVNode(2)),
        (.move(vnodes: [1], from: ShardID("b"), to: ShardID("a")), .notOwner(vnode: 1, shard: ShardID("b"))),
        (.move(vnodes: [9], from: ShardID("b"), to: ShardID("a")), .unknownVNode(9)),
        (.move(vnodes: [1], from: ShardID("a"), to: ShardID("c")), .unknownShard(ShardID("c"))),
        (.move(vnodes: [1], from: ShardID("c"), to: ShardID("a")), .unknownShard(ShardID("c"))),
        (.add(ShardID("a")), .duplicateShard(ShardID("a"))),
        (.drop(ShardID("c")), .unknownShard(ShardID("c"))),
        (.drop(ShardID("a")), .notEmpty(ShardID("a"), vnode: 1)),
    ]

    @Test(arguments: refused)
    func aStepThatDoesNotFitIsRefused(step: RingStep, error: RingError) throws {
        let layout = try RingLayout.even(over: [a, b], vnodesEach: 2)
        #expect(throws: error) { try layout.applying([step]) }
    }

    @Test func anIdMayBeThereOnce() {
        let halves = RingCut.even(over: 2, vnodesEach: 1, after: 0).map { VNode(id: 7, range: $0[0].range) }
        #expect(throws: RingError.duplicateVNode(7)) { try RingLayout([a: [halves[0]], b: [halves[1]]]) }
    }

    @Test func anEvenLayoutNeedsDistinctShards() {
        #expect(throws: RingError.empty) { try RingLayout.even(over: [], vnodesEach: 4) }
        #expect(throws: RingError.duplicateShard(a)) { try RingLayout.even(over: [a, a], vnodesEach: 4) }
    }
}
