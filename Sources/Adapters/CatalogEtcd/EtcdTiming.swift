/// How long a store waits for its etcd.
package struct EtcdTiming: Hashable, Sendable {
    /// The longest that a call takes, with connecting, other endpoints and trying again.
    package var call = Duration.seconds(5)
    /// The longest that one endpoint may take over a request where there are others to ask.
    package var attempt = Duration.milliseconds(1500)
    /// The longest that reading, or writing, all of a large catalog takes.
    package var whole = Duration.seconds(30)
    /// The further time in which a commit that got no answer is looked up.
    package var resolution = Duration.seconds(5)
    /// How long etcd may be away before calls fail at once, instead of waiting for it to come back: a change of its leader passes unnoticed, and a long
    /// outage holds nobody up.
    package var patience = Duration.seconds(2)
    /// How long a watch rests between two looks that nothing asked for.
    package var pollInterval = Duration.seconds(1)
    /// The pause after every endpoint has failed; doubled with each further round, up to `pauseMax`.
    package var pauseMin = Duration.milliseconds(20)
    package var pauseMax = Duration.seconds(1)

    package init() {}
}
