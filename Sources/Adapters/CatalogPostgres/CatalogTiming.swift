/// How long a store on a server waits for it.
package struct CatalogTiming: Hashable, Sendable {
    /// The longest that a call takes, with connecting and trying again.
    package var call = Duration.seconds(5)
    /// The longest that reading all of a large catalog takes, at the start, over a slow line.
    package var whole = Duration.seconds(30)
    /// The further time in which a commit that got no answer is looked up.
    package var resolution = Duration.seconds(5)
    /// How long a server may be away before calls fail at once, instead of waiting for it to come back: a restart passes unnoticed, and a long outage
    /// holds nobody up.
    package var patience = Duration.seconds(2)
    /// How long a watch rests between two looks that no notification asked for.
    package var pollInterval = Duration.seconds(1)
    /// The pause before the second try to connect; doubled with each further one, up to `pauseMax`.
    package var pauseMin = Duration.milliseconds(20)
    package var pauseMax = Duration.seconds(1)

    package init() {}
}
