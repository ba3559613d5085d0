/* The cutover as docs/internals/cutover.md tells it, for Debian's spin: two routers, two managers of which one leads, a source and a target.
 *
 * `scripts/check-model` looks at every order in which their steps can fall, and then at the same protocol with one fault at a time (-D…), each of which must be found.
 * A process that is stopped or cut off is one whose next step comes late: nothing here waits for anything but what the protocol waits for. */

#ifndef ROUTERS
#define ROUTERS  2
#endif
#ifndef WRITES
#define WRITES   1      /* of each router's client */
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 2      /* at the cutover */
#endif

/* The catalog. Each change is one epoch. */
byte epoch = 1;
bit  held;              /* statements for the vnode wait */
byte held_attempt;
byte held_epoch;        /* the epoch that the hold came with */
bit  switched;          /* the target is the owner */
byte leader;            /* which manager's writes the store takes */
byte began;             /* attempts so far */
bit  given_up;          /* no more attempts: so that the search ends */

/* The source, and what of it the target has. */
byte fence;
byte written;           /* commits on the source, as its log has them */
byte applied;           /* how much of the log the target has */

/* Routers: what each has read of the catalog, its pool for the source, and what it has acknowledged. */
byte view_epoch[ROUTERS] = 1;
bit  view_held[ROUTERS];
byte view_attempt[ROUTERS];
bit  view_switched[ROUTERS];
bit  drained[ROUTERS];      /* of the hold that it sees */
byte pool[ROUTERS];         /* grows when the router lets go of all that waits there */
bit  open[ROUTERS];         /* a connection to the source */
bit  dead[ROUTERS];         /* … that the fence has ended; the router may not know yet */
byte under_way[ROUTERS];    /* statements between their plan and their end */
byte acknowledged[ROUTERS];
bit  spared[ROUTERS];       /* the acknowledgement names the connection */

/* ---- a router's client: one write after the other, each of the moved vnode ---- */

proctype Client(byte r) {
    byte number, planned;
    bit to_target;
    do
    :: number == WRITES -> break
    :: else ->
        number++;
        /* Waits behind its plan while there is a hold. */
        atomic {
            !view_held[r];
            to_target = view_switched[r];
            planned = pool[r];
            under_way[r]++;
        }
        if
        :: to_target ->
            atomic { assert(switched); under_way[r]--; }
        :: else ->
            /* A connection: one that is open, or one that is opened now. None is while there is a hold. */
            do
            :: atomic {
#ifndef KEEPS_WAITING
                planned != pool[r] ->
#else
                false ->
#endif
                under_way[r]--; break }                                     /* refused: nothing was done */
            :: atomic { planned == pool[r] && open[r] && dead[r] -> open[r] = 0; dead[r] = 0 }    /* it learns that it has none */
            :: atomic { planned == pool[r] && open[r] && !dead[r] ->
                /* The statement runs, and is acknowledged. */
                written++;
                assert(!switched);
                under_way[r]--;
                break }
            :: atomic { !open[r] && !view_held[r] ->
                /* It says the epoch that its router has now; the source refuses one below its fence. */
                if
#ifndef NO_FENCE
                :: view_epoch[r] < fence -> skip
                :: else ->
#else
                :: true ->
#endif
                    open[r] = 1; dead[r] = 0
                fi }
            :: atomic { under_way[r]--; break }                             /* cancelled, or its time is over */
            od;
            planned = 0
        fi
    od
}

/* ---- a router: reads the catalog whenever it does, drains, acknowledges ---- */

proctype Router(byte r) {
end:
    do
    :: atomic { view_epoch[r] != epoch ->
        if
#ifndef KEEPS_WAITING
        /* Vnodes have left a shard, and it has not drained a hold of them. */
        :: switched && !view_switched[r] && !drained[r] -> pool[r]++; open[r] = 0; dead[r] = 0
#endif
        :: else -> skip
        fi;
        if
        :: held && (!view_held[r] || view_attempt[r] != held_attempt) -> drained[r] = 0
        :: !held -> drained[r] = 0
        :: else -> skip
        fi;
        view_epoch[r] = epoch;
        view_held[r] = held;
        view_attempt[r] = (held -> held_attempt : 0);
        view_switched[r] = switched }
    :: atomic { view_held[r] && !drained[r] &&
#ifndef ACKNOWLEDGES_EARLY
        under_way[r] == 0 ->
#else
        true ->
#endif
        drained[r] = 1;
        acknowledged[r] = view_attempt[r];
        spared[r] = open[r] && !dead[r] }
    od
}

/* ---- a manager: leads, makes an attempt, is overtaken at any moment, and goes on as if nothing were ---- */

#define LEADS (leader == me)

proctype Manager(byte me) {
    byte attempt, raised, end;
    byte r;
    do
    :: switched -> break
    :: given_up -> break
    :: !switched && !given_up ->
        /* The lease of the other one has run out. */
        atomic { leader = me }
        /* What an earlier leader has left is given up first. */
        if
        :: atomic { LEADS && held -> goto abandon }
        :: atomic { LEADS && !held && began < ATTEMPTS && !switched ->
            began++; attempt = began;
            epoch++;
            held = 1; held_attempt = attempt; held_epoch = epoch;
            raised = epoch }
        :: atomic { !held && began == ATTEMPTS -> given_up = 1; goto done }
        :: !LEADS -> goto again
        :: switched -> goto done
        fi;

        /* Each router acknowledges, or is taken for dead: its lease has run out. */
        r = 0;
        do
        :: r == ROUTERS -> break
        :: r < ROUTERS && acknowledged[r] == attempt -> r++
        :: r < ROUTERS -> r++
        :: goto abandon
        od;
#ifdef END_BEFORE_FENCE
        end = written;
#endif
        /* The fence ends every connection that no acknowledgement names. */
        atomic {
            if
            :: fence < raised -> fence = raised
            :: else -> skip
            fi;
            r = 0;
            do
            :: r == ROUTERS -> break
            :: r < ROUTERS ->
#ifndef NO_FENCE
                if
                :: open[r] && !(acknowledged[r] == attempt && spared[r]) -> dead[r] = 1
                :: else -> skip
                fi;
#endif
                r++
            od;
            r = 0 }
        if
        :: skip
        :: goto abandon
        fi;
#ifndef END_BEFORE_FENCE
        end = written;
#endif
        /* The stream brings the target there. */
        atomic {
            if
            :: applied < end -> applied = end
            :: else -> skip
            fi }
        if
        :: skip
        :: goto abandon
        fi;
        /* One compare-and-set, under this manager's lease, on the hold of this attempt. */
        atomic {
            if
#ifndef BLIND_SWITCH
            :: LEADS && held && held_attempt == attempt ->
#else
            :: !switched ->
#endif
                switched = 1; held = 0; held_attempt = 0; held_epoch = 0; epoch++;
                assert(applied == written)
            :: else -> skip
            fi }
        goto again;
abandon:
        atomic {
            if
            :: LEADS && held && !switched ->
                if
                :: fence == held_epoch -> fence = 0
                :: else -> skip
                fi;
                held = 0; held_attempt = 0; held_epoch = 0; epoch++
            :: else -> skip
            fi }
again:
        atomic { attempt = 0; raised = 0; end = 0; r = 0 }
    od;
done:
    skip
}

init {
    byte r = 0;
    atomic {
        do
        :: r < ROUTERS -> run Router(r); run Client(r); r++
        :: else -> break
        od;
        run Manager(0); run Manager(1)
    }
}
