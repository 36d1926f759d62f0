#![allow(missing_docs, clippy::all, clippy::pedantic)]
use mainstay_deliver::*; use mainstay_queue::*; use std::sync::Arc; use std::time::*;
use http_body_util::{BodyExt, Empty}; use hyper::{Request,Response,body::{Bytes,Incoming},service::service_fn};
fn main(){
 let rt=tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
 for c in [1usize,5,64] { for kind in ["http","folder","null"] {
  let n=if kind=="folder" {2000} else {20000};
  let temp=tempfile::TempDir::new().unwrap(); let out=temp.path().join("out"); std::fs::create_dir(&out).unwrap();
  let clock=mainstay_clock::system();
  let (queue,_)=Queue::open(temp.path().join("q"),Config::default()).unwrap(); let lane=queue.declare_lane("l").unwrap();
  rt.block_on(async {
   for _ in 0..n/1000 { let docs=(0..1000).map(|i|{let mut d=NewDocument::new(vec![lane],vec![i as u8;1933]); d.source=format!("f{}",i).into_bytes(); d.hash=Some(sha2::Digest::finalize({let mut h=<sha2::Sha256 as sha2::Digest>::new(); sha2::Digest::update(&mut h,&vec![i as u8;1933]); h}).into()); d}).collect(); queue.enqueue_batch(Batch{documents:docs,claims:vec![]}).await.unwrap(); }
   let l=tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(); let addr=l.local_addr().unwrap();
   let srv=tokio::spawn(async move { loop { let (s,_)=l.accept().await.unwrap(); s.set_nodelay(true).unwrap(); tokio::spawn(async move { let _=hyper::server::conn::http1::Builder::new().serve_connection(hyper_util::rt::TokioIo::new(s),service_fn(|r:Request<Incoming>| async move { let _=r.into_body().collect().await; Ok::<_,std::convert::Infallible>(Response::new(Empty::<Bytes>::new())) })).await; }); } });
   let mut hc=HttpConfig::new(format!("http://{addr}/in")); hc.idle_connections=c;
   #[derive(Debug)] struct Null; impl Destination for Null { fn address(&self)->&str{"null"} fn send(&self,_:Outgoing)->Sending<'_>{Box::pin(async{Outcome::Delivered})} }
   let dest:Arc<dyn Destination>=match kind {"http"=>Arc::new(Http::new(&hc,clock.clone()).unwrap()),"folder"=>Arc::new(Folder::new(&FolderConfig::new(&out),clock.clone()).unwrap()),_=>Arc::new(Null)};
   let mut cfg=DeliverConfig::default(); cfg.concurrency=c;
   let w=Worker::new(queue.clone(),lane,dest,cfg,clock.clone()).unwrap(); let h=w.handle(); let stop=tokio_util::sync::CancellationToken::new();
   let t=Instant::now(); let run=tokio::spawn(w.run(stop.clone()));
   queue.settled().await; let el=t.elapsed();
   println!("{kind} c={c}: {:.0} docs/s  {:?} mean {:.3} ms",n as f64/el.as_secs_f64(),el,h.status().latency.mean_ms);
   stop.cancel(); run.await.unwrap(); srv.abort(); queue.clone().close().await;
  });
 }}
}
