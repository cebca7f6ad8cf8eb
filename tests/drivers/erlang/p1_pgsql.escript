#!/usr/bin/escript
%% -*- erlang -*-
%% Logs in with p1_pgsql, and so with the `ssl` application of Erlang/OTP, whose options p1_pgsql passes on as they are: as Postgrex and
%% epgsql do. What a client program is: ../README.md. It has no direct TLS and no channel binding, and where it asks for TLS it insists
%% on it.
-mode(compile).

-define(TIMEOUT, 60000).

main([]) ->
    logger:set_primary_config(level, none), % it would write to standard output, or about failures that are answers here
    {ok, _} = application:ensure_all_started(ssl),
    {ok, _} = application:ensure_all_started(stringprep), % its SCRAM needs that, and does not say so
    ok = application:load(p1_pgsql),
    {ok, Version} = application:get_key(p1_pgsql, vsn),
    {ok, SslVersion} = application:get_key(ssl, vsn),
    Detail = io_lib:format("Erlang/OTP ~s, ssl ~s", [erlang:system_info(otp_release), SslVersion]),
    print(#{driver => <<"p1_pgsql">>, version => text(Version), detail => text(Detail)}),
    serve().

serve() ->
    case io:get_line("") of
        eof ->
            ok;
        Line ->
            Wanted = jiffy:decode(Line, [return_maps]),
            Failed = #{id => maps:get(<<"id">>, Wanted), ok => false, sqlstate => null, error => null},
            print(maps:merge(Failed, attempt(Wanted))),
            serve()
    end.

%% In a process of its own, which can be left behind. The driver tells standard output of closed connections.
attempt(Wanted) ->
    {Process, Monitor} = spawn_monitor(fun() ->
        group_leader(whereis(standard_error), self()),
        exit({answer, log_in(Wanted)})
    end),
    Answer = receive
        {'DOWN', Monitor, process, Process, {answer, Result}} -> judge(Result, Wanted);
        {'DOWN', Monitor, process, Process, Reason} -> #{error => text(io_lib:format("~0p", [Reason]))}
    after ?TIMEOUT ->
        exit(Process, kill),
        #{error => <<"timeout">>}
    end,
    wait_for_closed_sockets(?TIMEOUT div 10),
    Answer.

log_in(#{<<"sslnegotiation">> := <<"direct">>}) ->
    unsupported;
log_in(#{<<"channel_binding">> := <<"require">>}) ->
    unsupported;
log_in(Wanted) ->
    case transport(Wanted) of
        unsupported -> unsupported;
        Transport -> connect([{connect_timeout, ?TIMEOUT} | options(Wanted)] ++ Transport)
    end.

connect(Options) ->
    case pgsql:connect(Options) of
        {ok, Connection} ->
            {ok, _, _, _, [Row]} = pgsql:pquery(Connection, "SELECT current_user || ':' || $1", ["42"]),
            %% The answer is there. Where the server's end of the connection is seen before the driver has answered, it exits: either is right.
            catch pgsql:terminate(Connection),
            {row, Row};
        {error, Reason} ->
            {error, Reason}
    end.

judge(unsupported, _) ->
    #{error => <<"not supported by the driver">>};
judge({row, [{text, Text}]}, #{<<"user">> := User}) ->
    case Text =:= <<User/binary, ":42">> of
        true -> #{ok => true};
        false -> #{error => text(io_lib:format("unexpected answer: ~0p", [Text]))}
    end;
judge({error, {authentication, Fields} = Reason}, _) when is_list(Fields) ->
    #{sqlstate => text(proplists:get_value(code, Fields)), error => describe(Reason)};
judge({error, Reason}, _) ->
    #{error => describe(Reason)}.

options(Wanted) ->
    Password = case Wanted of
        #{<<"password">> := Given} when is_binary(Given) -> [{password, binary_to_list(Given)}];
        _ -> []
    end,
    [{host, string(<<"host">>, Wanted)}, {port, maps:get(<<"port">>, Wanted)}, {user, string(<<"user">>, Wanted)},
     {database, string(<<"dbname">>, Wanted)} | Password].

transport(#{<<"sslmode">> := <<"disable">>}) ->
    [{transport, tcp}];
transport(#{<<"sslmode">> := <<"require">>, <<"sslrootcert">> := null} = Wanted) ->
    [{transport, ssl}, {verify, verify_none} | certificate(Wanted)];
transport(#{<<"sslmode">> := <<"verify-ca">>} = Wanted) ->
    [{transport, ssl}, {verify, verify_peer}, {cacertfile, string(<<"sslrootcert">>, Wanted)}, {server_name_indication, disable}
     | certificate(Wanted)];
transport(#{<<"sslmode">> := <<"verify-full">>} = Wanted) ->
    [{transport, ssl}, {verify, verify_peer}, {cacertfile, string(<<"sslrootcert">>, Wanted)} | name(Wanted) ++ certificate(Wanted)];
transport(_) ->
    unsupported.

%% Without a name the address that it is connected to is verified.
name(Wanted) ->
    Host = string(<<"host">>, Wanted),
    case inet:parse_address(Host) of
        {ok, _} -> [];
        {error, _} -> [{server_name_indication, Host}]
    end.

certificate(#{<<"sslcert">> := File} = Wanted) when is_binary(File) ->
    [{certfile, binary_to_list(File)}, {keyfile, string(<<"sslkey">>, Wanted)}];
certificate(_) ->
    [].

%% A process that ends closes its socket, but the answer does not wait for that.
wait_for_closed_sockets(Milliseconds) ->
    case [Port || Port <- erlang:ports(), erlang:port_info(Port, name) =:= {name, "tcp_inet"}] of
        [_ | _] when Milliseconds > 0 ->
            timer:sleep(1),
            wait_for_closed_sockets(Milliseconds - 1);
        _ ->
            ok
    end.

string(Field, Wanted) ->
    binary_to_list(maps:get(Field, Wanted)).

describe(Reason) ->
    text(io_lib:format("~0tp", [Reason])).

text(Characters) ->
    unicode:characters_to_binary(Characters).

print(Answer) ->
    ok = file:write(standard_io, [jiffy:encode(Answer), $\n]).
