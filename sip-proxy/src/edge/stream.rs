//! SIP over TCP and TLS: accepted and opened connections, messages cut out of the stream, keep-alives answered (RFC 5626).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sip_proto::stream::PONG;
use sip_proto::{Flow, Frame, StreamFramer, Transport};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::Transports;
use crate::location::Location;

/// How long a peer may take for TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a peer may leave us waiting before it takes what we send.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an accepted connection may be silent before its first message, so that idle ones do not fill the table.
const FIRST_MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes read at a time.
const READ_BYTES: usize = 16 * 1024;

/// Accepts connections until `stop`; TLS when there is an acceptor.
pub(crate) async fn accept(
    listener: TcpListener,
    local: SocketAddr,
    tls: Option<TlsAcceptor>,
    transports: Arc<Transports>,
    location: Arc<Location>,
) {
    let transport = if tls.is_some() { Transport::Tls } else { Transport::Tcp };
    let stop = transports.stop.clone();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors or a connection that broke while it waited: others still want in.
                tracing::warn!(%local, %error, "connection not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let local = stream.local_addr().unwrap_or(local);
        let Some((number, outgoing)) = transports.register((transport, peer), false) else {
            tracing::warn!(%local, "too many connections, one is closed");
            continue;
        };
        let flow = Flow { transport, local, peer, connection: number };
        let (shared, tls, location) = (Arc::clone(&transports), tls.clone(), Arc::clone(&location));
        transports.tasks.spawn(async move {
            let _ = stream.set_nodelay(true);
            match tls {
                None => serve(&shared, flow, stream, outgoing).await,
                Some(tls) => match tokio::time::timeout(CONNECT_TIMEOUT, tls.accept(stream)).await {
                    Ok(Ok(stream)) => serve(&shared, flow, stream, outgoing).await,
                    Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                    Err(_) => tracing::debug!("TLS handshake took too long"),
                },
            }
            location.flow_closed(flow);
            close(&shared, flow).await;
        });
    }
}

/// Opens a connection to `flow.peer` and sends `first` on it.
pub(super) fn open(transports: Arc<Transports>, flow: Flow, first: Bytes) {
    let Some((number, outgoing)) = transports.register((flow.transport, flow.peer), true) else {
        let shared = Arc::clone(&transports);
        transports.tasks.spawn(async move { shared.inlet.flow_failed(flow).await });
        return;
    };
    transports.queue(number, first);
    let opened = Flow { connection: number, ..flow };
    let shared = Arc::clone(&transports);
    transports.tasks.spawn(async move {
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(flow.peer));
        let connected = match connecting.await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::info!(peer = %base::Pii(flow.peer), %error, "connection not opened");
                None
            }
            Err(_) => None,
        };
        if let Some(stream) = connected {
            let _ = stream.set_nodelay(true);
            match (&shared.tls_client, flow.transport) {
                (Some(client), Transport::Tls) => {
                    let connector = TlsConnector::from(Arc::clone(client));
                    let name = shared.name_of(flow.peer).and_then(|name| name.try_into().ok());
                    let name = name.unwrap_or_else(|| flow.peer.ip().into());
                    match tokio::time::timeout(CONNECT_TIMEOUT, connector.connect(name, stream)).await {
                        Ok(Ok(stream)) => serve(&shared, opened, stream, outgoing).await,
                        Ok(Err(error)) => tracing::warn!(%error, "TLS to a trunk failed"),
                        Err(_) => tracing::warn!("TLS to a trunk took too long"),
                    }
                }
                (None, Transport::Tls) => {
                    tracing::warn!("a TLS trunk cannot be called without sip_proxy.tls_trunk_roots")
                }
                _ => serve(&shared, opened, stream, outgoing).await,
            }
        }
        close(&shared, opened).await;
        // Requests that were sent before there was a connection know the flow without its number.
        shared.inlet.flow_failed(flow).await;
    });
}

async fn close(transports: &Transports, flow: Flow) {
    transports.forget(flow.connection, (flow.transport, flow.peer));
    transports.inlet.flow_failed(flow).await;
}

async fn serve<S>(transports: &Transports, flow: Flow, stream: S, mut outgoing: mpsc::Receiver<Bytes>)
where
    S: AsyncRead + AsyncWrite,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut patience = if transports.opened_by_us(flow.connection) { transports.idle } else { FIRST_MESSAGE_TIMEOUT };
    let mut framer = StreamFramer::default();
    let mut buffer = vec![0u8; READ_BYTES];
    loop {
        tokio::select! {
            biased;
            bytes = outgoing.recv() => {
                let Some(bytes) = bytes else { return };
                if !write(&mut writer, &bytes).await {
                    return;
                }
            }
            () = transports.stop.cancelled() => return,
            read = tokio::time::timeout(patience, reader.read(&mut buffer)) => {
                let Ok(Ok(length @ 1..)) = read else { return };
                framer.push(&buffer[..length]);
                loop {
                    match framer.next_frame() {
                        Ok(Some(Frame::Message(bytes))) => {
                            patience = transports.idle;
                            transports.inlet.deliver(flow, bytes);
                        }
                        Ok(Some(Frame::Ping)) => if !write(&mut writer, PONG).await { return },
                        Ok(Some(Frame::Pong)) => {}
                        Ok(None) => break,
                        Err(error) => {
                            tracing::debug!(%error, "unreadable stream closed");
                            return;
                        }
                    }
                }
            }
        }
    }
}

async fn write<W: AsyncWrite + Unpin>(writer: &mut W, bytes: &[u8]) -> bool {
    let writing = async {
        writer.write_all(bytes).await?;
        writer.flush().await
    };
    matches!(tokio::time::timeout(WRITE_TIMEOUT, writing).await, Ok(Ok(())))
}
